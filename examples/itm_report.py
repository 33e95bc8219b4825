"""Choose the weights of ``lite_itm`` on one split, and report them on another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.evaluation import BothDirections
from remembered import Remembered

DIRECTIONS = ("t2i", "i2t")
DEPTHS = (32, 100)
MOST = 100
FILIP = 1.25
"""The weight of filip over the base, from docs/flickr8k.md."""
WEIGHTS = (0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


@dataclass(frozen=True)
class Encoded:
    """A split.

    Parameters
    ----------
    pictures, texts
        Five captions each, picture after picture.
    mack
        What ``mack_flickr8k.py tune`` chose on top of filip, per direction, with banks as paths;
        None to leave MACK out.
    kept
        A folder for raw scores: a report that was killed goes on, and the next one is quick.
    captions
        Of a picture.
    """

    pictures: cr.Collection
    texts: cr.Collection
    mack: dict[str, Any] | None = None
    kept: Path | None = None
    captions: int = 5
    _base: dict[str, cr.Candidates] = field(default_factory=dict)
    _raw: dict[tuple[str, str], Remembered] = field(default_factory=dict)

    def sides(self, direction: str) -> tuple[cr.Collection, cr.Collection]:
        """Return queries and gallery."""
        both = (self.texts, self.pictures)
        return both if direction == "t2i" else both[::-1]

    def base(self, direction: str) -> cr.Candidates:
        """Return the first hundred by the cosine of embeddings."""
        if direction not in self._base:
            self._base[direction] = cr.search(*self.sides(direction), depth=MOST)
        return self._base[direction]

    def qrels(self, direction: str) -> dict[str, dict[str, int]]:
        """Return what belongs to each query."""
        qrels: dict[str, dict[str, int]] = {}
        for row, text in enumerate(self.texts.ids):
            picture = self.pictures.ids[row // self.captions]
            query, relevant = (text, picture) if direction == "t2i" else (picture, text)
            qrels.setdefault(query, {})[relevant] = 1
        return qrels

    def belongs(self, direction: str, index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether gallery rows ``[Q, K]`` belong to their queries."""
        asked = np.arange(len(index))[:, None]
        own: NDArray[np.bool_] = (
            asked // self.captions == index
            if direction == "t2i"
            else asked == index // self.captions
        )
        return own

    def remembered(self, name: str, direction: str, **params: Any) -> Remembered:
        """Return a reranker's raw scores of the first hundred, computed once."""
        if (name, direction) not in self._raw:
            stage = cr.Stage(name, fusion=cr.Replace(), params=params)
            pipeline, given = cr.Pipeline(stage), (self.base(direction), *self.sides(direction))
            if self.kept is None:
                rankings = pipeline.rerank(*given)
            else:
                run = f"{direction}_{name}_{stage.scorer.fingerprint()[:8]}"
                rankings = pipeline.rerank_to(self.kept / run, *given)
            self._raw[name, direction] = Remembered(rankings=rankings, stage=name)
        return self._raw[name, direction]

    def run(self, direction: str, *stages: cr.Stage) -> cr.Rankings:
        """Rerank the base."""
        return cr.Pipeline(stages).rerank(self.base(direction), *self.sides(direction))


def befores(split: Encoded, direction: str) -> dict[str, tuple[cr.Stage, ...]]:
    """Return what ``lite_itm`` is put on top of, by name: the stages before it."""
    tokens = split.remembered("filip", direction)
    filip = cr.Stage(tokens, MOST, cr.WeightedSum(FILIP))
    found: dict[str, tuple[cr.Stage, ...]] = {"base": (), "base+filip": (filip,)}
    if split.mack is not None:
        chosen = split.mack[direction]
        knowledge = {"knowledge": chosen["bank"], **chosen["params"]}
        mack = split.remembered("mack", direction, **knowledge)
        filip = cr.Stage(tokens, MOST, cr.WeightedSum(chosen["filip"]))
        fusion = cr.WeightedSum(chosen["weight"], chosen["normalise"])
        found["base+filip+mack"] = (filip, cr.Stage(mack, MOST, fusion))
    return found


def systems(
    split: Encoded, direction: str, fusion: dict[str, float], **params: Any
) -> dict[str, Any]:
    """Return what is compared, by name.

    Parameters
    ----------
    fusion
        The weights of ``t2i base+lite_itm@32`` and the like, see `choose`; those of this direction
        are run.
    **params
        Of ``lite_itm``.
    """
    itm = split.remembered("lite_itm", direction, **params)
    found: dict[str, Any] = {}
    for name, stages in befores(split, direction).items():
        found[name] = split.run(direction, *stages) if stages else split.base(direction)
    for depth in DEPTHS:
        found[f"lite_itm@{depth}"] = split.run(direction, cr.Stage(itm, depth, cr.Replace()))
    for chosen, weight in fusion.items():
        asked, _, system = chosen.partition(" ")
        if asked != direction:
            continue
        name, _, seen = system.partition("+lite_itm@")
        stage = cr.Stage(itm, int(seen), cr.WeightedSum(weight))
        found[system] = split.run(direction, *befores(split, direction)[name], stage)
    return found


def choose(split: Encoded, tried: Iterable[float] = WEIGHTS, **params: Any) -> dict[str, float]:
    """Return per direction and system the weight with the highest mean reciprocal rank.

    R@1 of a thousand queries hardly tells neighbouring weights apart.
    """
    chosen: dict[str, float] = {}
    for direction in DIRECTIONS:
        matrix = split.remembered("lite_itm", direction, **params).matrix
        for name, stages in befores(split, direction).items():
            index, before = ordered(split, direction, stages)
            for depth in DEPTHS:
                seen = index[:, :depth]
                raw = np.take_along_axis(matrix, seen, axis=1).astype(np.float64)
                own = split.belongs(direction, seen)
                found = {
                    weight: reciprocal_rank(fused(before[:, :depth], raw, weight), own)
                    for weight in tried
                }
                system = f"{direction} {name}+lite_itm@{depth}"
                chosen[system] = max(found, key=found.__getitem__)
    return chosen


def reciprocal_rank(scores: NDArray[np.float64], own: NDArray[np.bool_]) -> float:
    """Return the mean reciprocal rank of the first that belongs, 0 where none of the list does."""
    order = np.argsort(-scores, axis=1, kind="stable")
    found = np.take_along_axis(own, order, axis=1)
    return float((found.any(axis=1) / (found.argmax(axis=1) + 1)).mean())


def ordered(
    split: Encoded, direction: str, stages: tuple[cr.Stage, ...]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the lists after some stages, best first: gallery rows and scores, ``[Q, K]``."""
    if stages:
        rankings = split.run(direction, *stages)
        return rankings.index, rankings.final
    lists = split.base(direction)
    assert lists.scores is not None
    return lists.index, lists.scores


def fused(
    before: NDArray[np.float64], raw: NDArray[np.float64], weight: float
) -> NDArray[np.float64]:
    """Return z-scored sums ``[Q, K]`` by the library's own rule; the columns are in order."""
    ranks = np.broadcast_to(np.arange(1, before.shape[1] + 1), before.shape)
    every = np.ones(before.shape, np.bool_)
    scores: NDArray[np.float64] = (
        cr.WeightedSum(weight).fuse(before, ranks, raw, every, every, every).scores
    )
    return scores


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
