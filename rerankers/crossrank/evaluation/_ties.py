"""What equal scores leave open: the least, the expected and the most a metric can be.

Which of several candidates with one score comes first is nobody's opinion.  Here all their orders
count alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossrank.evaluation._measures import Measure

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Groups:
    """Per query the candidates that share the score of its first relevant item; all are ``[Q]``.

    How many score higher, how many share the score, that item among them (0 where nothing relevant
    is listed), and how many of these are relevant.
    """

    better: Integers
    size: Integers
    relevant: Integers

    @property
    def open(self) -> NDArray[np.bool_]:
        """``[Q]`` whether the rank of the first relevant item is left open."""
        return self.size > self.relevant


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a metric can be.

    Parameters
    ----------
    minimum, maximum
        The least and the most number that an order of equal scores gives.
    expected
        Over all orders; for MedR, the median of the expected ranks.
    """

    minimum: float
    expected: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Ties:
    """What equal scores leave open in one system.

    Parameters
    ----------
    queries
        For how many queries irrelevant candidates share the score of the first relevant one.
    bounds
        Metric → `Bounds`; those of ir-measures, which look at whole lists, have none.
    """

    queries: int
    bounds: Mapping[str, Bounds]


def ties(groups: Groups, measures: Sequence[Measure], miss: int) -> Ties | None:
    """Return what is left open of some measures; None where nothing is.

    `miss` is the highest rank that MedR and MeanR count.
    """
    count = int(groups.open.sum())
    if not count:
        return None
    there = groups.size > 0
    best = np.where(there, groups.better + 1.0, np.inf)
    worst = np.where(there, groups.better + groups.size - groups.relevant + 1.0, np.inf)
    bounds: dict[str, Bounds] = {}
    for each in measures:
        if each.ir:
            continue
        ends = [each.summed_up(each.of_ranks(ranks, miss)) for ranks in (best, worst)]
        expected = each.summed_up(_expected(each, groups, best, miss))
        bounds[each.name] = Bounds(min(ends), expected, max(ends))
    return Ties(count, bounds)


def note_of(name: str, tied: Ties) -> str:
    """Return a note for the reader of a table."""
    ranges = ", ".join(
        f"{metric} {each.minimum:.4g} … {each.maximum:.4g} (expected {each.expected:.4g})"
        for metric, each in tied.bounds.items()
    )
    return (
        f"{name}: for {tied.queries:,} queries irrelevant candidates share the score of the first "
        f"relevant one; by their order: {ranges}"
    )


def _expected(measure: Measure, groups: Groups, best: Floats, miss: int) -> Floats:
    """Return ``[Q]`` the mean of a measure over all orders of the equal candidates."""
    values = measure.of_ranks(best, miss)
    for row in np.flatnonzero(groups.open):
        chances = first_place_chances(int(groups.size[row]), int(groups.relevant[row]))
        ranks = groups.better[row] + 1.0 + np.arange(len(chances))
        values[row] = float(measure.of_ranks(ranks, miss) @ chances)
    return values


def first_place_chances(size: int, relevant: int) -> Floats:
    """Return the chance of each place to hold the first relevant of some equal candidates.

    Place j of n, of which r are relevant: C(n − j, r − 1) / C(n, r).
    """
    chances = np.empty(size - relevant + 1)
    nobody = 1.0  # the chance that no place so far was relevant
    for place in range(len(chances)):
        chances[place] = nobody * relevant / (size - place)
        nobody -= chances[place]
    return chances
