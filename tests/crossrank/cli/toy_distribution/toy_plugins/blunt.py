"""A reranker that explains nothing and only does t2i."""

import numpy as np

import crossrank as cr


class Blunt(cr.Reranker):
    info = cr.RerankerInfo("toy_blunt", "Scores by row.", directions=("t2i",))

    def score(self, block: cr.Block, state: object) -> cr.Scores:
        return cr.Scores(block.candidate_rows[block.index].astype(np.float32))


@cr.hookimpl
def crossrank_reranker() -> type[cr.Reranker]:
    return Blunt
