"""The parameters of the reranker ``graph``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import crossrank as cr
from crossrank.plugin.parameters import (
    at_least,
    boolean,
    check,
    instance_of,
    methods,
    none,
    one_of,
    path,
    positive,
    text,
)
from crossrank_graphs import GraphParser

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class GraphParameters:
    """What may be chosen.

    Parameters
    ----------
    phrases
        Where the vectors of phrases come from: ``"alone"`` encodes each phrase by itself, so that
        no other word of the text colours it; ``"context"`` takes the text's own ``tokens`` at its
        words; ``"auto"`` is the first wherever the pictures say which encoder made them.
    encoder
        The name of the encoder of phrases; None for the one that made the pictures.
    binding
        Whether the words of a phrase must meet in one place, so that a red ball is nothing red
        beside some ball; otherwise each word takes the place that suits it best.
    relations
        The weight of a relation as a phrase ("dog chase ball"); a thing with its attributes has 1.
    order
        How much it counts that one end of a relation lies above the other, where its predicate
        says so ("ride", "under"): times the difference of their heights, the picture's being 1.
    aggregate
        ``"mean"`` of the units, or ``"softmin"``, for which one missing unit weighs more.
    sharpness
        Of the soft minimum: the larger, the nearer to the least.
    reference
        What a picture of no particular kind answers to a phrase, taken from each unit so that
        phrases of all captions are on one scale: a collection of pictures, or the folder of one;
        ``"auto"`` for the statistics that come with this package, where the pictures are those of
        ``lite``; None for nothing.
    parser
        What finds the graphs, if the texts do not have them as ``graph``; by default
        `crossrank_graphs.RuleParser`.
    """

    phrases: str = AUTO
    encoder: str | None = None
    binding: bool = True
    relations: float = 0.5
    order: float = 0.05
    aggregate: str = "mean"
    sharpness: float = 10.0
    reference: str | Path | cr.Collection | None = AUTO
    parser: GraphParser | None = None

    def __post_init__(self) -> None:
        collection = instance_of(cr.Collection, give="a Collection of pictures")
        check(
            "graph",
            self,
            phrases=one_of(AUTO, "alone", "context"),
            encoder=text | none,
            binding=boolean,
            relations=at_least(0),
            order=at_least(0),
            aggregate=one_of("mean", "softmin"),
            sharpness=positive,
            reference=collection | path | none,
            parser=methods("graphs", "fingerprint") | none,
        )
