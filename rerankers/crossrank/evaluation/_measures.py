"""Measures: what each makes of a ranking, per query, and how the queries are summed up.

The cross-modal protocol looks at the rank of the *first* relevant item: ``R@K`` is 100 · Success@K,
so an image counts as soon as any of its captions is found.  The recall of information retrieval is
``ir:R@K``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._items.arrays import has_members
from crossrank.errors import InputError

DEFAULT_METRICS = ("R@1", "R@5", "R@10", "MedR", "MeanR", "MRR")


@dataclass(frozen=True, slots=True)
class Measure:
    """One column of the table.

    Its name is as the caller wrote it; it is summed up as ``"mean"``, ``"median"`` or ``"sum"``
    over the queries.  `cutoff` is the K of ``R@K``, 0 for others; `ir` is what ir-measures calls
    it, "" for the measures of this module.
    """

    name: str
    summary: str = "mean"
    cutoff: int = 0
    ir: str = ""

    @property
    def counts_ranks(self) -> bool:
        """Whether a miss needs a rank: MedR and MeanR."""
        return self.name in ("MedR", "MeanR")

    def of_ranks(self, ranks: NDArray[np.float64], miss: int) -> NDArray[np.float64]:
        """Return the measure per query, of ``[Q]`` ranks of its first relevant item, ∞ for none.

        `miss` is the highest rank that MedR and MeanR count.
        """
        if self.cutoff:
            return np.where(ranks <= self.cutoff, 100.0, 0.0)
        if self.counts_ranks:
            return np.minimum(ranks, float(miss))
        return np.reciprocal(ranks)

    def summed_up(self, values: NDArray[np.float64]) -> float:
        """Return the one number for ``[Q]`` values."""
        if self.summary == "median":
            return float(np.median(values))
        return float(values.mean() if self.summary == "mean" else values.sum())


def parse_measures(names: Iterable[str]) -> tuple[Measure, ...]:
    """Read the names of measures; one that stands twice counts once."""
    if isinstance(names, str):
        raise InputError(f"evaluate: metrics is a str; give a sequence, such as ({names!r:.80},)")
    given: list[Any] = list(names) if has_members(names) else [names]
    for name in given:
        if not isinstance(name, str):
            raise InputError(f"evaluate: {name!r:.80} is no metric; give names, such as 'R@1'")
    measures = tuple(map(_parse, dict.fromkeys(given)))
    if not measures:
        raise InputError(f"evaluate: no metrics; give some of {', '.join(DEFAULT_METRICS)}")
    return measures


def _parse(name: str) -> Measure:
    recall = re.fullmatch(r"R@([1-9]\d*)", name)
    if recall:
        return Measure(name, cutoff=int(recall[1]))
    if name in ("MeanR", "MRR"):
        return Measure(name)
    if name == "MedR":
        return Measure(name, "median")
    if name.upper() == "RSUM":
        raise InputError(
            "evaluate: RSUM sums over both directions; evaluate each and print "
            "BothDirections(t2i, i2t)"
        )
    from crossrank.evaluation._irmeasures import summary

    inner = name.removeprefix("ir:")
    return Measure(name, summary(inner), ir=inner)
