r"""What rerankers buy on Flickr8k as they come: with no parameter, by what ships with them.

    python research/shipped_report.py --features FEATURES --rerankers mack cprd

Weights are chosen on ``val``, ``test`` is measured once; FEATURES as for `lite_bank.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.evaluation import bootstrap_interval, randomisation_test

WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
DEPTH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--rerankers", nargs="+", required=True)
    given = parser.parse_args()
    print("| | weight | base | fused | gain (95 %) | p | alone |\n|---|---|---|---|---|---|---|")
    for direction in ("t2i", "i2t"):
        val, test = (Split(given.features / split, direction) for split in ("val", "test"))
        for name in given.rerankers:
            weight = max(WEIGHTS, key=lambda w: val.hits(name, cr.WeightedSum(w)).mean())
            base, fused = test.hits(None), test.hits(name, cr.WeightedSum(weight))
            alone = test.hits(name, cr.Replace())
            sums = np.bincount(test.clusters, weights=fused - base)[None].astype(np.float64)
            low, high = bootstrap_interval(sums, np.bincount(test.clusters).astype(np.float64))
            p = float(randomisation_test(sums)[0])
            gain = float((fused - base).mean())
            print(
                f"| {name} {direction} | {weight:g} | {base.mean():.2f} | {fused.mean():.2f} "
                f"| {gain:+.2f} ({low[0]:+.2f} … {high[0]:+.2f}) | {p:.4f} | {alone.mean():.2f} |"
            )


class Split:
    """One split in one direction."""

    def __init__(self, folder: Path, direction: str) -> None:
        images = cr.Collection.open(folder / "images")
        images = images.with_features(regions=cr.Collection.open(folder / "regions")["regions"])
        texts = cr.Collection.open(folder / "texts")
        self.sides = (texts, images) if direction == "t2i" else (images, texts)
        self.lists = cr.search(*self.sides, depth=DEPTH)
        owners = [id.rpartition("#")[0] for id in texts.ids]
        pairs = zip(texts.ids, owners, strict=True)
        self.right = {(t, i) if direction == "t2i" else (i, t) for t, i in pairs}
        asked = owners if direction == "t2i" else list(images.ids)
        self.clusters: NDArray[np.int64] = np.unique(asked, return_inverse=True)[1].astype(np.int64)

    def hits(self, reranker: str | None, fusion: cr.Fusion | None = None) -> NDArray[np.float64]:
        """Return per query, in percent, whether what belongs to it stands first."""
        if reranker is None or fusion is None:
            fusion, reranker = cr.WeightedSum(0.0), "dsl"
        ranked = cr.Pipeline(cr.Stage(reranker, fusion=fusion)).rerank(self.lists, *self.sides)
        first = [(query, ranking.ids[0]) for query, ranking in ranked.items()]
        return np.array([100.0 * (pair in self.right) for pair in first])


if __name__ == "__main__":
    main()
