r"""Choose weight and normalisation of a stage on one split: score once, fuse many times.

    python research/tune_fusion.py --queries val/texts --gallery val/images \
        --run val/base.t2i.trec --qrels val/qrels.t2i.txt --reranker filip

Prints a line per setting, the best R@1 first (RSUM decides between equal ones).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.evaluation import read_qrels

WEIGHTS = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
NORMALISATIONS = ("zscore", "minmax", "rank", "softmax", "none")
METRICS = ("R@1", "R@5", "R@10")


class Stored(cr.Reranker):
    """Gives back scores that were computed before."""

    info = cr.RerankerInfo(name="stored", summary="scores computed before")

    def __init__(self, scores: NDArray[np.float32]) -> None:
        super().__init__()
        self.scores = scores

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Look the pairs up."""
        rows = block.query_rows[:, None]
        return cr.Scores(self.scores[rows, block.candidate_rows[block.index]])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("queries", "gallery", "run", "qrels"):
        arguments.add_argument(f"--{name}", type=Path, required=True)
    arguments.add_argument("--reranker", default="filip")
    arguments.add_argument("--depth", type=int, default=100)
    given = arguments.parse_args()

    queries = cr.Collection.open(given.queries)
    gallery = cr.Collection.open(given.gallery)
    candidates = cr.Candidates.from_trec(
        given.run, query_ids=queries.ids, candidate_ids=gallery.ids
    )
    qrels = read_qrels(given.qrels)
    scorer = cr.Pipeline(cr.Stage(given.reranker, depth=given.depth, fusion=cr.Replace()))
    raw = scorer.rerank(candidates, queries, gallery).to_similarity().astype(np.float32)
    stored = Stored(np.where(np.isfinite(raw), raw, 0))

    def measured(fusion: cr.Fusion) -> dict[str, float]:
        stage = cr.Stage(stored, depth=given.depth, fusion=fusion)
        rankings = cr.Pipeline(stage).rerank(candidates, queries, gallery)
        evaluation = cr.evaluate({"fused": rankings.to_run()}, qrels, METRICS, resamples=0)
        return dict(evaluation["fused"])

    settings = [cr.WeightedSum(w, n) for n in NORMALISATIONS for w in WEIGHTS]
    found = [(measured(fusion), fusion) for fusion in (cr.WeightedSum(0.0), cr.RRF(), *settings)]
    found.sort(key=lambda pair: (-pair[0]["R@1"], -sum(pair[0].values())))
    for values, fusion in found:
        print("  ".join(f"{values[name]:5.2f}" for name in METRICS), fusion)


if __name__ == "__main__":
    main()
