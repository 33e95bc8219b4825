"""Fusion: how a stage's raw scores and the scores before it become one.

Each rule works on the pairs of a row that the stage *scored* (saw and did not abstain on).  A row
in which nothing was scored keeps its order, with scores on the scale of the other rows.  What was
not seen is moved below, in its old order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._checking import check, finite, positive
from crossrank._lists.row_scores import abstaining_take_the_mean, row_mean, shift_below


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
        beyond = valid & ~seen
        if opinion.all():  # the usual case: no row is kept
            return Fused(shift_below(joined.scores, seen, previous, beyond), joined.normalised)
        kept = self.keep(previous, previous_ranks, seen, scored)
        fused = np.where(opinion, joined.scores, kept)
        scores = shift_below(fused, seen, previous, beyond)
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
        check("RRF", self, k=finite)
        check("RRF", self, k=positive)

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
        normalised = abstaining_take_the_mean(_reciprocal(self.k + by_score), scored)
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
        return by_rank + row_mean(by_rank, seen)


def _reciprocal(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    return np.reciprocal(values.astype(np.float64))
