"""A naive reranker that explains itself, for tests of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import crossrank as cr


class NaiveFilip(cr.Reranker):
    """For each word its best patch, in loops."""

    info = cr.RerankerInfo(
        name="naive-filip",
        summary="for each word its best patch",
        query_features=("tokens",),
        candidate_features=("tokens",),
        explain_features=("token_text", "token_boxes"),
    )

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = np.zeros(block.index.shape, np.float32)
        for row, place in np.argwhere(block.mask):
            similarity = self._similarity(block, row, place)
            values[row, place] = np.mean([max(word) for word in similarity])
        return cr.Scores(values)

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        found = []
        for row, place in np.argwhere(block.mask):
            similarity = self._similarity(block, row, place)
            boxes = block.candidates["token_boxes"][int(block.index[row, place])]
            links = []
            for word, values in zip(block.queries["token_text"][row], similarity, strict=True):
                best = int(np.argmax(values))
                x0, y0, x1, y1 = map(float, boxes[best])
                links.append(
                    cr.Link(word, str(best), float(values[best]), candidate_box=(x0, y0, x1, y1))
                )
            found.append(
                cr.Evidence(
                    block.queries.ids[row],
                    block.candidates.ids[int(block.index[row, place])],
                    float(np.mean([link.weight for link in links])),
                    tuple(links),
                )
            )
        return found

    def _similarity(self, block: cr.Block, row: int, place: int) -> Any:
        words = block.queries["tokens"][int(row)]
        return words @ block.candidates["tokens"][int(block.index[row, place])].T
