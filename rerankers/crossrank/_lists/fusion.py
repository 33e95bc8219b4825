"""Fusion: how a stage's raw scores and the scores before it become one.

Each rule works on the pairs of a row that the stage *scored* (saw and did not abstain on).  A row
in which nothing was scored keeps its order, with scores on the scale of the other rows.  What was
not seen is moved below, in its old order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._lists.calibration import Calibration, as_calibration
from crossrank._lists.normalise import minmax, none, rank, softmax, zscore
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
class Fused:
    """The result of a fusion.

    Parameters
    ----------
    scores
        ``[Q, K]`` float64, the new scores.
    normalised
        ``[Q, K]`` float64, what the raw scores were turned into before weighting.
    """

    scores: NDArray[np.float64]
    normalised: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fusion(ABC):
    """A rule that joins old and new scores."""

    @property
    def weight(self) -> float:
        """The factor of the new score, for the trace."""
        return 1.0

    @property
    def needs_scores(self) -> bool:
        """Whether the rule cannot do without previous scores."""
        return False

    @property
    def transductive(self) -> bool:
        """Whether a row's fused scores depend on other queries of the run."""
        return False

    def of_stage(self, name: str) -> Fusion:
        """Return the rule as a stage of this name uses it."""
        return self

    def short_rows(self, scored: NDArray[np.bool_]) -> int:
        """Return how many rows hold too few scored pairs for the rule's statistics."""
        return 0

    @abstractmethod
    def join(
        self,
        previous: NDArray[np.float64],
        previous_ranks: NDArray[np.int64],
        raw: NDArray[np.float64],
        seen: NDArray[np.bool_],
        scored: NDArray[np.bool_],
    ) -> Fused:
        """Return the fused scores of the seen pairs; what it returns elsewhere is not used."""

    def keep(
        self,
        previous: NDArray[np.float64],
        previous_ranks: NDArray[np.int64],
        seen: NDArray[np.bool_],
        scored: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        """Return the scores of rows in which nothing was scored, on the scale of the others.

        By default the previous ones.
        """
        return previous

    def fuse(
        self,
        previous: NDArray[np.float64],
        previous_ranks: NDArray[np.int64],
        raw: NDArray[np.float64],
        valid: NDArray[np.bool_],
        seen: NDArray[np.bool_],
        scored: NDArray[np.bool_],
    ) -> Fused:
        """Fuse the seen pairs and move the others below them.

        Parameters
        ----------
        previous, previous_ranks
            ``[Q, K]`` scores and 1-based ranks before this stage.
        raw
            ``[Q, K]`` the stage's own scores, used where `scored`.
        valid, seen, scored
            ``[Q, K]``: taken places; those the stage saw; those it has an opinion on.
        """
        joined = self.join(previous, previous_ranks, np.where(scored, raw, 0.0), seen, scored)
        opinion = scored.any(axis=1, keepdims=True)
        kept = self.keep(previous, previous_ranks, seen, scored)
        fused = np.where(opinion, joined.scores, kept)
        scores = shift_below(fused, seen, previous, valid & ~seen)
        untouched = ~opinion & (kept is previous)
        return Fused(np.where(untouched, previous, scores), joined.normalised)


@dataclass(frozen=True, slots=True)
class Replace(Fusion):
    """The raw score alone; pairs the stage abstains on follow the scored ones, in old order."""

    def join(
        self,
        previous: NDArray[np.float64],
        previous_ranks: NDArray[np.int64],
        raw: NDArray[np.float64],
        seen: NDArray[np.bool_],
        scored: NDArray[np.bool_],
    ) -> Fused:
        """See `Fusion.join`."""
        return Fused(shift_below(raw, scored, previous, seen & ~scored), raw)


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
        object.__setattr__(self, "weight", check_finite("WeightedSum", "weight", self.weight))
        if self.normalise not in NORMALISERS:
            raise ParameterError(
                f"WeightedSum: no normalisation {self.normalise!r}"
                f"{nearest(self.normalise, NORMALISERS)}"
            )
        if not isinstance(self.statistics, str | Path | Calibration | Statistics) or (
            self.statistics == ""
        ):
            raise ParameterError(
                f"WeightedSum: statistics is {self.statistics!r}; give 'row' or 'run', or a "
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
        if isinstance(given, str) and not Path(given).exists():
            raise ParameterError(
                f"WeightedSum: statistics is {given!r}; give 'row' or 'run', or a calibration's "
                "file (no file is called so)"
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
        normalised = _abstaining_take_the_mean(own, scored)
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


@dataclass(frozen=True, slots=True)
class RRF(Fusion):
    """Reciprocal rank fusion: ``1/(k + previous rank) + 1/(k + rank by score)``.

    Cormack, Clarke and Büttcher, SIGIR 2009.  A pair the stage abstains on takes the mean of its
    row's second term.

    Parameters
    ----------
    k
        Positive; the larger, the less the first ranks count.
    """

    k: float = 60.0

    def __post_init__(self) -> None:
        if check_finite("RRF", "k", self.k) <= 0:
            raise ParameterError(f"RRF: k is {self.k!r}; give a positive number")

    def join(
        self,
        previous: NDArray[np.float64],
        previous_ranks: NDArray[np.int64],
        raw: NDArray[np.float64],
        seen: NDArray[np.bool_],
        scored: NDArray[np.bool_],
    ) -> Fused:
        """See `Fusion.join`."""
        before = np.where(seen, previous_ranks, np.iinfo(np.int64).max)
        places = np.argsort(before, axis=1, kind="stable")
        among_seen = np.argsort(places, axis=1, kind="stable") + 1
        falling = np.where(scored, -raw, np.inf)
        order = np.lexsort((previous_ranks, falling, ~scored), axis=1)
        by_score = np.argsort(order, axis=1, kind="stable") + 1
        normalised = _abstaining_take_the_mean(_reciprocal(self.k + by_score), scored)
        return Fused(_reciprocal(self.k + among_seen) + normalised, normalised)

    def keep(
        self,
        previous: NDArray[np.float64],
        previous_ranks: NDArray[np.int64],
        seen: NDArray[np.bool_],
        scored: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        """Return ``1/(k + previous rank)`` plus its mean: without an opinion all add the same."""
        before = np.where(seen, previous_ranks, np.iinfo(np.int64).max)
        order = np.argsort(before, axis=1, kind="stable")
        by_rank = _reciprocal(self.k + np.argsort(order, axis=1, kind="stable") + 1)
        return by_rank + _row_mean(by_rank, seen)


def shift_below(
    values: NDArray[np.float64],
    above: NDArray[np.bool_],
    previous: NDArray[np.float64],
    below: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return `values` where `above`, and `previous` where `below`, moved under the worst of them.

    The distances within `previous` stay.  Rows without anything above keep `previous`.
    """
    worst = np.min(np.where(above, values, np.inf), axis=1, keepdims=True, initial=np.inf)
    best = np.max(np.where(below, previous, -np.inf), axis=1, keepdims=True, initial=-np.inf)
    moves = np.isfinite(worst) & np.isfinite(best)
    floor = np.where(moves, worst, 0.0)
    gap = 1e-6 * np.maximum(np.abs(floor), 1.0)
    moved = previous - np.where(moves, best, 0.0) + np.where(moves, floor - gap, 0.0)
    return np.where(above, values, np.where(moves & below, moved, previous))


def check_finite(who: str, name: str, value: float) -> float:
    """Return a number as float, or refuse it.

    Raises
    ------
    ParameterError
        If it is no number, NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise ParameterError(f"{who}: {name} is {value!r}; give a number")
    if not np.isfinite(value):
        raise ParameterError(f"{who}: {name} is {value!r}; give a finite number")
    return float(value)


def _reciprocal(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    return np.reciprocal(values.astype(np.float64))


def _abstaining_take_the_mean(
    values: NDArray[np.float64], scored: NDArray[np.bool_]
) -> NDArray[np.float64]:
    return np.where(scored, values, _row_mean(values, scored))


def _row_mean(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return ``[Q, 1]`` the mean of each row's counted values, 0 where none counts."""
    count = np.maximum(counted.sum(axis=1, keepdims=True), 1)
    mean: NDArray[np.float64] = np.where(counted, values, 0.0).sum(axis=1, keepdims=True) / count
    return mean
