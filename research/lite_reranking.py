"""Base lists of a split, reranked with FILIP through the library itself, and R@K of the result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import crossrank as cr

CAPTIONS = 5
DEPTH = 100
DIRECTIONS = ("t2i", "i2t")
CUTS = (1, 5, 10)
NORMALISATIONS = ("none", "zscore", "minmax", "softmax", "rank")
WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Lists:
    """The first hundred of each query, with both scores.

    Parameters
    ----------
    base, filip
        ``[Q, K]`` float64 scores; the columns are in base order.
    relevant
        ``[Q, K]`` bool.
    """

    base: NDArray[np.float64]
    filip: NDArray[np.float64]
    relevant: NDArray[np.bool_]

    def fused(self, weight: float, normalise: str) -> NDArray[np.float64]:
        """Return the fused scores ``[Q, K]``."""
        ranks = np.broadcast_to(np.arange(1, self.base.shape[1] + 1), self.base.shape)
        everywhere = np.ones(self.base.shape, dtype=bool)
        rule = cr.WeightedSum(weight, normalise)
        return rule.fuse(self.base, ranks, self.filip, everywhere, everywhere, everywhere).scores

    def recall(self, scores: NDArray[np.float64]) -> list[float]:
        """Return R@1, R@5 and R@10 in per cent under the given scores."""
        order = np.argsort(-scores, axis=1, kind="stable")
        found = np.take_along_axis(self.relevant, order, axis=1)
        return [round(100 * float(found[:, :cut].any(axis=1).mean()), 2) for cut in CUTS]


def make_lists(pictures: cr.Collection, texts: cr.Collection) -> dict[str, Lists]:
    """Rank both ways by embedding, and score the lists with FILIP.

    Parameters
    ----------
    pictures, texts
        With the features ``embedding`` and ``tokens``; texts 0 to 4 belong to picture 0, and so on.
    """
    stage = cr.Stage("filip", depth=DEPTH, fusion=cr.Replace())
    made = {}
    for direction in DIRECTIONS:
        queries, gallery = (texts, pictures) if direction == "t2i" else (pictures, texts)
        lists = cr.search(queries, gallery, depth=DEPTH)
        raw = cr.Pipeline([stage]).rerank(lists, queries=queries, gallery=gallery).to_similarity()
        asked, listed = np.arange(len(queries))[:, None], lists.index
        own = (asked // CAPTIONS, listed) if direction == "t2i" else (asked, listed // CAPTIONS)
        assert lists.scores is not None
        made[direction] = Lists(
            lists.scores, np.take_along_axis(raw, lists.index, axis=1), own[0] == own[1]
        )
    return made


def report(lists: dict[str, Lists], weight: float, normalise: str) -> Figures:
    """Return R@K of base, FILIP alone and both together, in both directions."""
    figures = {}
    for direction, each in lists.items():
        systems = {
            "base": each.base,
            "filip": each.filip,
            "fused": each.fused(weight, normalise),
        }
        for name, scores in systems.items():
            for cut, value in zip(CUTS, each.recall(scores), strict=True):
                figures[f"{direction} {name} R@{cut}"] = value
    return figures


def best_fusion(lists: dict[str, Lists], weights: Iterable[float] = WEIGHTS) -> tuple[float, str]:
    """Return the weight and normalisation with the highest sum of R@1 and, if equal, of R@5."""

    def quality(choice: tuple[float, str]) -> tuple[float, float]:
        recalls = [each.recall(each.fused(*choice)) for each in lists.values()]
        return sum(each[0] for each in recalls), sum(each[1] for each in recalls)

    return max(((w, how) for how in NORMALISATIONS for w in weights), key=quality)
