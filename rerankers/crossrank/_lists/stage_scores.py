"""What one stage gave every candidate of a run, in columns."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crossrank._lists.hits import Trace
from crossrank._lists.ordering import arrange
from crossrank._lists.statistics import Statistics


@dataclass(frozen=True, slots=True, eq=False)
class StageScores:
    """One stage's scores, in the places of the `Rankings` that hold them.

    Parameters
    ----------
    name
        The stage's name.
    raw
        ``[Q, K]`` float32, NaN where not scored.
    normalised
        ``[Q, K]`` float64, NaN where not scored.
    seen
        ``[Q, K]`` bool: within the stage's depth.
    weight
        The fusion's weight.
    reasons
        Per query why pairs that were seen are not scored.
    statistics
        Mean and deviation of its raw scores and of those before it; None where it scored nothing.
    """

    name: str
    raw: NDArray[np.float32]
    normalised: NDArray[np.float64]
    seen: NDArray[np.bool_]
    weight: float
    reasons: tuple[str, ...]
    statistics: Statistics | None = None

    def arranged(self, rows: NDArray[np.int64], order: NDArray[np.int64]) -> StageScores:
        """Return some queries' scores with their places in another order."""
        return replace(
            self,
            raw=arrange(self.raw[rows], order),
            normalised=arrange(self.normalised[rows], order),
            seen=arrange(self.seen[rows], order),
            reasons=tuple(self.reasons[row] for row in rows),
        )

    def where(self, mask: NDArray[np.bool_]) -> StageScores:
        """Return the scores without those of places that are not taken."""
        if mask.all():
            return self
        raw = np.where(mask, self.raw, np.float32(np.nan))
        normalised = np.where(mask, self.normalised, np.nan)
        return replace(self, raw=raw, normalised=normalised, seen=self.seen & mask)

    def traces(self, row: int, start: int, stop: int) -> list[Trace]:
        """Return what the stage did to the candidates of a query from one place up to another."""
        columns = zip(
            self.raw[row, start:stop].tolist(),
            self.normalised[row, start:stop].tolist(),
            self.seen[row, start:stop].tolist(),
            strict=True,
        )
        return [
            self._unscored(row, seen)
            if math.isnan(raw)
            else Trace(self.name, raw, normalised, self.weight)
            for raw, normalised, seen in columns
        ]

    def _unscored(self, row: int, seen: bool) -> Trace:
        reason = self.reasons[row] if self.reasons[row] else "abstained"
        note = reason if seen else "not seen: beyond the stage's depth"
        return Trace(self.name, None, None, self.weight, note)
