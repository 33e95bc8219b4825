"""What a run is worth on a task: ranks of the first relevant item, and measures per query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from crossrank.evaluation._measures import Measure
from crossrank_ablation.task import Task

LOWER_IS_BETTER = ("MedR", "MeanR")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A run on the N queries of a task.

    The rank of the first relevant item is ``[N]``, infinite for a miss; measures of ir-measures are
    ``[N]`` each.  `depth` is the length of the longest list.
    """

    first_ranks: Floats
    foreign: Mapping[str, Floats] = field(default_factory=dict)
    depth: int = 0

    def values(self, measures: Sequence[Measure], miss: int) -> Floats:
        """Return ``[M, N]`` all measures per query; MedR and MeanR count a miss as rank `miss`."""
        return np.array(
            [
                self.foreign[each.name] if each.ir else each.of_ranks(self.first_ranks, miss)
                for each in measures
            ]
        )


def measure(
    task: Task, ranks: NDArray[np.int64], measures: Sequence[Measure], top_k: int | None = None
) -> Measured:
    """Measure a run by ``[Q, K]`` the rank of each candidate, its lists cut at `top_k`."""
    foreign: dict[str, Floats] = {}
    asked = [each for each in measures if each.ir]
    if asked:
        from crossrank.evaluation._irmeasures import values

        rows = values([each.ir for each in asked], task.qrels, task.lists(ranks, top_k))
        foreign = {each.name: row for each, row in zip(asked, rows, strict=True)}
    depth = task.candidates.depth if top_k is None else min(top_k, task.candidates.depth)
    return Measured(task.first_ranks(ranks, top_k), foreign, depth)


def summed_up(measures: Sequence[Measure], values: Floats) -> dict[str, float]:
    """Return each measure's one number."""
    return {each.name: each.summed_up(row) for each, row in zip(measures, values, strict=True)}


def better(measures: Sequence[Measure]) -> Floats:
    """Return ``[M]`` 1 where higher is better, −1 where lower is."""
    return np.array([-1.0 if each.name in LOWER_IS_BETTER else 1.0 for each in measures])
