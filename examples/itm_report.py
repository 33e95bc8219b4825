"""Choose the weights of ``lite_itm`` on one split, and report them on another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.evaluation import BothDirections

DIRECTIONS = ("t2i", "i2t")
DEPTHS = (32, 100)
MOST = 100
FILIP = 1.25
"""The weight of filip over the base, from docs/flickr8k.md."""
WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)


@dataclass(frozen=True)
class Encoded:
    """A split: its pictures and captions, five each, picture after picture."""

    pictures: cr.Collection
    texts: cr.Collection
    captions: int = 5
    _raw: dict[tuple[str, str], Remembered] = field(default_factory=dict)

    def sides(self, direction: str) -> tuple[cr.Collection, cr.Collection]:
        """Return queries and gallery."""
        both = (self.texts, self.pictures)
        return both if direction == "t2i" else both[::-1]

    def base(self, direction: str) -> cr.Candidates:
        """Return the first hundred by the cosine of embeddings."""
        return cr.search(*self.sides(direction), depth=MOST)

    def qrels(self, direction: str) -> dict[str, dict[str, int]]:
        """Return what belongs to each query."""
        qrels: dict[str, dict[str, int]] = {}
        for row, text in enumerate(self.texts.ids):
            picture = self.pictures.ids[row // self.captions]
            query, relevant = (text, picture) if direction == "t2i" else (picture, text)
            qrels.setdefault(query, {})[relevant] = 1
        return qrels

    def remembered(self, name: str, direction: str, **params: Any) -> Remembered:
        """Return a reranker's raw scores of the first hundred, computed once."""
        if (name, direction) not in self._raw:
            stage = cr.Stage(name, fusion=cr.Replace(), params=params)
            rankings = cr.Pipeline(stage).rerank(self.base(direction), *self.sides(direction))
            self._raw[name, direction] = Remembered(rankings=rankings, stage=name)
        return self._raw[name, direction]

    def run(self, direction: str, *stages: cr.Stage) -> cr.Rankings:
        """Rerank the base."""
        return cr.Pipeline(stages).rerank(self.base(direction), *self.sides(direction))


class Remembered(cr.Reranker):
    """Gives the raw scores of an earlier run again, so that many weights can be tried on them."""

    info = cr.RerankerInfo(name="remembered", summary="the raw scores of an earlier run")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """The earlier run over the same queries and gallery, and which of its stages."""

        rankings: cr.Rankings
        stage: str

    @cached_property
    def matrix(self) -> NDArray[np.float32]:
        """``[queries, gallery]``, NaN where it gave none."""
        rankings = self.params.rankings
        shape = (len(rankings.query_ids), len(rankings.candidate_ids))
        matrix = np.full(shape, np.nan, np.float32)
        np.put_along_axis(matrix, rankings.index, rankings.scores(self.params.stage), axis=1)
        return matrix

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Look the scores up."""
        return cr.Scores(self.matrix[block.query_rows[:, None], block.candidate_rows[block.index]])


def systems(
    split: Encoded, direction: str, fusion: dict[str, float], **params: Any
) -> dict[str, Any]:
    """Return what is compared, by name.

    Parameters
    ----------
    fusion
        The weights of ``base+lite_itm@32`` and the like, see `choose`.
    **params
        Of ``lite_itm``.
    """
    filip = split.remembered("filip", direction)
    itm = split.remembered("lite_itm", direction, **params)
    first = cr.Stage(filip, MOST, cr.WeightedSum(FILIP))
    found: dict[str, Any] = {
        "base": split.base(direction),
        "base+filip": split.run(direction, first),
    }
    for depth in DEPTHS:
        alone = cr.Stage(itm, depth, cr.Replace())
        found[f"lite_itm@{depth}"] = split.run(direction, alone)
        for before, name in (((), "base"), ((first,), "base+filip")):
            system = f"{name}+lite_itm@{depth}"
            stage = cr.Stage(itm, depth, cr.WeightedSum(fusion[system]))
            found[system] = split.run(direction, *before, stage)
    return found


def choose(split: Encoded, tried: Iterable[float] = WEIGHTS, **params: Any) -> dict[str, float]:
    """Return per system the weight with the highest R@1, both directions together."""
    quality: dict[str, dict[float, float]] = {}
    for weight in tried:
        everywhere = {
            f"{name}+lite_itm@{depth}": weight
            for name in ("base", "base+filip")
            for depth in DEPTHS
        }
        for direction in DIRECTIONS:
            ran = systems(split, direction, everywhere, **params)
            for system in everywhere:
                at = quality.setdefault(system, {})
                at[weight] = at.get(weight, 0.0) + recalls(split, direction, ran[system])["R@1"]
    return {system: max(at, key=at.__getitem__) for system, at in quality.items()}


def recalls(split: Encoded, direction: str, rankings: Any) -> dict[str, float]:
    """Return R@1, R@5 and R@10 in per cent."""
    result = cr.evaluate({"it": rankings}, split.qrels(direction), resamples=0)
    return {name: round(result["it"][name], 2) for name in ("R@1", "R@5", "R@10")}


def report(
    split: Encoded, fusion: dict[str, float], resamples: int = 9999, **params: Any
) -> BothDirections:
    """Return every system's figures with paired tests against the base."""
    tables = [
        cr.evaluate(
            systems(split, direction, fusion, **params),
            split.qrels(direction),
            direction=direction,
            resamples=resamples,
        )
        for direction in DIRECTIONS
    ]
    return BothDirections(*tables)
