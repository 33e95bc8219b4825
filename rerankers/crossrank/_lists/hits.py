"""A hit: one ranked candidate in plain Python numbers, and what each stage did to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Trace:
    """What one stage did to one candidate.

    Parameters
    ----------
    stage
        The stage's name.
    score
        Its raw score; None if it did not see the candidate or abstained.
    normalised
        What fusion made of the raw score before weighting; None likewise.
    weight
        The weight of the normalised score in the sum.
    note
        Why there is no score; empty otherwise.
    """

    stage: str
    score: float | None
    normalised: float | None
    weight: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """One ranked candidate, in plain Python numbers.

    Parameters
    ----------
    id
        The candidate's id.
    score
        The final score; higher is better.
    rank
        From 1.
    index
        The candidate's row in the gallery; of the drop-in call its place in the caller's list.
    base_score
        What the base matcher said; None where it gave no scores.
    base_rank
        Its rank before, from 1.
    trace
        One entry per stage.
    probability
        That it is relevant; None without a calibration.
    """

    id: str
    score: float
    rank: int
    index: int
    base_score: float | None
    base_rank: int
    trace: tuple[Trace, ...] = ()
    probability: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the hit as JSON can hold it."""
        return asdict(self)
