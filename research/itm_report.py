"""Choose the weights of ``lite_itm`` on one split, and report them on another."""

from __future__ import annotations

import itertools
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
TRIED_BEFORE = {"filip": (0.5, 0.75, 1.0, 1.25), "mack": (0.3, 0.5, 0.7, 1.0)}
WEIGHTS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


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


Weights = dict[str, float]
"""Of the stages of a system, by name, in their order."""


def befores(split: Encoded, direction: str) -> dict[str, Weights]:
    """Return what ``lite_itm`` is put on top of, by name, with the weights of their own docs."""
    found: dict[str, Weights] = {"base": {}, "base+filip": {"filip": FILIP}}
    if split.mack is not None:
        chosen = split.mack[direction]
        found["base+filip+mack"] = {"filip": chosen["filip"], "mack": chosen["weight"]}
    return found


def stages_of(split: Encoded, direction: str, weights: Weights) -> list[cr.Stage]:
    """Return the stages filip and mack, as far as they have a weight."""
    stages = []
    if "filip" in weights:
        tokens = split.remembered("filip", direction)
        stages.append(cr.Stage(tokens, MOST, cr.WeightedSum(weights["filip"])))
    if "mack" in weights:
        assert split.mack is not None
        chosen = split.mack[direction]
        knowledge = {"knowledge": chosen["bank"], **chosen["params"]}
        mack = split.remembered("mack", direction, **knowledge)
        fusion = cr.WeightedSum(weights["mack"], chosen["normalise"])
        stages.append(cr.Stage(mack, MOST, fusion))
    return stages


def systems(
    split: Encoded, direction: str, chosen: dict[str, Weights], **params: Any
) -> dict[str, Any]:
    """Return what is compared, by name.

    Parameters
    ----------
    chosen
        The weights of ``t2i base+lite_itm@32`` and the like, see `choose`; those of this direction
        are run.
    **params
        Of ``lite_itm``.
    """
    itm = split.remembered("lite_itm", direction, **params)
    found: dict[str, Any] = {}
    for name, weights in befores(split, direction).items():
        stages = stages_of(split, direction, weights)
        found[name] = split.run(direction, *stages) if stages else split.base(direction)
    for depth in DEPTHS:
        found[f"lite_itm@{depth}"] = split.run(direction, cr.Stage(itm, depth, cr.Replace()))
    for name, weights in chosen.items():
        asked, _, system = name.partition(" ")
        if asked == direction:
            depth = int(system.rpartition("@")[2])
            last = cr.Stage(itm, depth, cr.WeightedSum(weights["lite_itm"]))
            found[system] = split.run(direction, *stages_of(split, direction, weights), last)
    return found


def choose(split: Encoded, tried: Iterable[float] = WEIGHTS, **params: Any) -> dict[str, Weights]:
    """Return per direction and system the weights with the highest mean reciprocal rank.

    Those of the stages before ``lite_itm`` are chosen again, together with its own.  R@1 of a
    thousand queries hardly tells neighbouring weights apart.
    """
    best: dict[str, tuple[float, Weights]] = {}
    for direction in DIRECTIONS:
        matrix = split.remembered("lite_itm", direction, **params).matrix
        for name, usual in befores(split, direction).items():
            for values in itertools.product(*(TRIED_BEFORE[stage] for stage in usual)):
                weights = dict(zip(usual, values, strict=True))
                index, before = ordered(split, direction, stages_of(split, direction, weights))
                for depth, weight in itertools.product(DEPTHS, tried):
                    seen = index[:, :depth]
                    raw = np.take_along_axis(matrix, seen, axis=1).astype(np.float64)
                    scores = fused(before[:, :depth], raw, weight)
                    found = reciprocal_rank(scores, split.belongs(direction, seen))
                    system = f"{direction} {name}+lite_itm@{depth}"
                    if system not in best or found > best[system][0]:
                        best[system] = found, {**weights, "lite_itm": weight}
    return {system: weights for system, (_, weights) in best.items()}


def reciprocal_rank(scores: NDArray[np.float64], own: NDArray[np.bool_]) -> float:
    """Return the mean reciprocal rank of the first that belongs, 0 where none of the list does."""
    order = np.argsort(-scores, axis=1, kind="stable")
    found = np.take_along_axis(own, order, axis=1)
    return float((found.any(axis=1) / (found.argmax(axis=1) + 1)).mean())


def ordered(
    split: Encoded, direction: str, stages: list[cr.Stage]
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
    split: Encoded, chosen: dict[str, Weights], resamples: int = 9999, **params: Any
) -> BothDirections:
    """Return every system's figures with paired tests against the base."""
    tables = [
        cr.evaluate(
            systems(split, direction, chosen, **params),
            split.qrels(direction),
            direction=direction,
            resamples=resamples,
        )
        for direction in DIRECTIONS
    ]
    return BothDirections(*tables)
