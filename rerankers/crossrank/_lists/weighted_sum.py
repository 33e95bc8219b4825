"""The usual fusion: a weighted sum of scores that were normalised."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._checking import checked, finite
from crossrank._lists.calibration import Calibration, as_calibration
from crossrank._lists.fusion import Fused, Fusion
from crossrank._lists.normalise import minmax, none, rank, softmax, zscore
from crossrank._lists.row_scores import abstaining_take_the_mean
from crossrank._lists.statistics import Statistics, standardised
from crossrank.errors import ParameterError, nearest

Normaliser = Callable[[NDArray[np.float64], NDArray[np.bool_]], NDArray[np.float64]]
NORMALISERS: dict[str, Normaliser] = {
    "none": none,
    "zscore": zscore,
    "minmax": minmax,
    "softmax": softmax,
    "rank": rank,
}


OF_RUNS = ("zscore", "minmax")
"""Normalisations that have statistics of a whole run: a mean and a deviation, or a range."""
SHORT = 4
"""Rows of fewer scored pairs have statistics that say little."""


@dataclass(frozen=True, slots=True)
class WeightedSum(Fusion):
    """``norm(previous) + weight · norm(score)``, both normalised over the row's scored pairs.

    A pair the stage abstains on takes the mean normalised score of its row; a row it abstains on
    entirely keeps ``norm(previous)`` alone.

    Parameters
    ----------
    weight
        The factor of the new score; a paper's α.
    normalise
        ``"none"``, ``"zscore"`` (ddof 0), ``"minmax"``, ``"softmax"`` or ``"rank"``; a constant row
        gives 0 under zscore, minmax and rank.
    statistics
        ``"row"``: of each row by itself.  ``"run"``, with zscore and minmax: of all scored pairs of
        the stage, so that scores compare across queries and lists of any length; such a run looks
        at other queries.  Of one query both are the same.  Given, with zscore: `Statistics`, or a
        `Calibration` or its file, which holds them for each stage by name; scores then compare
        across queries, lists and runs, and no other query is looked at.

    Raises
    ------
    ParameterError
        On an unknown normalisation or statistics, or a weight that is not finite.
    StoreError
        If a calibration cannot be read.

    Notes
    -----
    Z-scores of a row of two are ±1 whatever the scores were: with weight 0.99 the base decides,
    with 1.01 the stage.
    """

    weight: float = 1.0
    normalise: str = "zscore"
    statistics: str | Path | Calibration | Statistics = "row"

    def __post_init__(self) -> None:
        weight = checked("WeightedSum", "weight", self.weight, finite)
        object.__setattr__(self, "weight", float(weight))
        if not isinstance(self.normalise, str) or self.normalise not in NORMALISERS:
            raise ParameterError(
                f"WeightedSum: no normalisation {self.normalise!r:.80}"
                f"{nearest(self.normalise, NORMALISERS)}"
            )
        if not isinstance(self.statistics, str | Path | Calibration | Statistics) or (
            self.statistics == ""
        ):
            raise ParameterError(
                f"WeightedSum: statistics is {self.statistics!r:.80}; give 'row' or 'run', or a "
                "calibration's file"
            )
        if self.statistics not in ("row", "run") and not isinstance(self.statistics, Statistics):
            self._read()
        if self.statistics not in ("row", "run") and self.normalise != "zscore":
            raise ParameterError(
                f"WeightedSum: given statistics go with normalise='zscore', not with "
                f"{self.normalise!r}"
            )
        if self.statistics == "run" and self.normalise not in OF_RUNS:
            raise ParameterError(
                f"WeightedSum: statistics='run' goes with normalise={' or '.join(OF_RUNS)}, not "
                f"with {self.normalise!r}"
            )

    def _read(self) -> None:
        """Read the calibration of a file."""
        given: Any = self.statistics
        if isinstance(given, str) and not os.path.exists(given):  # noqa: PTH110 - it never raises
            raise ParameterError(
                f"WeightedSum: statistics is {given!r:.80}; give 'row' or 'run', or a "
                "calibration's file (no file is called so)"
            )
        object.__setattr__(self, "statistics", as_calibration(given))

    def of_stage(self, name: str) -> WeightedSum:
        """Return the sum with the statistics that a calibration holds of this stage."""
        if isinstance(self.statistics, Calibration):
            return replace(self, statistics=self.statistics.of_stage(name))
        return self

    def short_rows(self, scored: NDArray[np.bool_]) -> int:
        """Return how many rows hold some scored pairs, but too few."""
        if self.statistics != "row" or self.normalise not in OF_RUNS:
            return 0
        counts = scored.sum(axis=1)
        return int(((counts > 1) & (counts < SHORT)).sum())

    def __repr__(self) -> str:
        # run folders know their fusion by this text: what is as it always was, reads as it did
        own = "" if self.statistics == "row" else f", statistics={self.statistics!r}"
        return f"WeightedSum(weight={self.weight}, normalise={self.normalise!r}{own})"

    @property
    def transductive(self) -> bool:
        """Statistics of the run come from other queries."""
        return self.statistics == "run"

    @property
    def needs_scores(self) -> bool:
        """A sum needs two numbers."""
        return True

    def join(
        self,
        previous: NDArray[np.float64],
        previous_ranks: NDArray[np.int64],
        raw: NDArray[np.float64],
        seen: NDArray[np.bool_],
        scored: NDArray[np.bool_],
    ) -> Fused:
        """See `Fusion.join`."""
        if isinstance(self.statistics, Statistics):
            own = standardised(raw, self.statistics.mean, self.statistics.deviation)
        else:
            own = self._normalised(raw, scored)
        normalised = abstaining_take_the_mean(own, scored)
        return Fused(self._before(previous, scored) + self.weight * normalised, normalised)

    def keep(
        self,
        previous: NDArray[np.float64],
        previous_ranks: NDArray[np.int64],
        seen: NDArray[np.bool_],
        scored: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        """Return the previous scores, normalised as those of other rows are."""
        counted = scored if self.statistics == "run" and scored.any() else seen
        return self._before(previous, counted)

    def _before(
        self, previous: NDArray[np.float64], counted: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        given = self.statistics
        if isinstance(given, Statistics):
            return standardised(previous, given.previous_mean, given.previous_deviation)
        return self._normalised(previous, counted)

    def _normalised(
        self, values: NDArray[np.float64], counted: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        normaliser = NORMALISERS[self.normalise]
        if self.statistics == "row":
            return normaliser(values, counted)
        whole = normaliser(values.reshape(1, -1), counted.reshape(1, -1))
        return whole.reshape(values.shape)
