"""What the report tells of a query: its candidates before and after, and what each stage said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Word:
    """One part of the text of a pair, and where it is seen in the picture.

    Parameters
    ----------
    text, part
        What it says, and what it is linked to.
    weight
        In the scorer's own units.
    box
        Where, in [0, 1] of the picture; None where that is not known.
    heat
        ``[rows][columns]`` over the part `extent` of the picture; empty where there is none.
    extent
        See `heat`.
    """

    text: str
    part: str
    weight: float
    box: Box | None = None
    heat: tuple[tuple[float, ...], ...] = ()
    extent: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Said:
    """What one stage said of a candidate.

    Parameters
    ----------
    stage
        Its name.
    score, normalised, weight
        As in `crossrank.Trace`; None where it gave none.
    note
        Why.
    words
        Its evidence.
    """

    stage: str
    score: float | None
    normalised: float | None
    weight: float
    note: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """One candidate of a query.

    Parameters
    ----------
    id, text, picture
        What it is; `picture` is its file, where there is one.
    base_rank, rank, base_score, score
        Before and after.
    relevant
        Whether it is what the query asks for.
    said
        By stage.
    """

    id: str
    text: str
    picture: Path | None
    base_rank: int
    rank: int
    base_score: float
    score: float
    relevant: bool
    said: tuple[Said, ...]

    @property
    def moved(self) -> int:
        """Places won (positive) or lost (negative)."""
        return self.base_rank - self.rank


@dataclass(frozen=True, slots=True)
class Story:
    """One query before and after.

    Parameters
    ----------
    id, text, picture
        The query.
    before, after
        The rank of the first relevant item; None where the list holds none.
    first, last
        The first candidates in base order and in the new one.
    cards
        All of these and the first relevant one, by new rank.
    """

    id: str
    text: str
    picture: Path | None
    before: int | None
    after: int | None
    first: tuple[Card, ...]
    last: tuple[Card, ...]
    cards: tuple[Card, ...]

    @property
    def change(self) -> str:
        """``"better"`` or ``"worse"``."""
        worst = 1 << 30
        before = worst if self.before is None else self.before
        after = worst if self.after is None else self.after
        return "better" if after < before else "worse"


@dataclass(frozen=True, slots=True)
class Gallery:
    """The stories of one pipeline in one direction.

    Parameters
    ----------
    direction, cell
        What it is about.
    depth
        The length of the lists.
    improved, harmed
        Most improved first, most harmed first.
    """

    direction: str
    cell: str
    depth: int
    improved: tuple[Story, ...]
    harmed: tuple[Story, ...]

    @property
    def stories(self) -> tuple[Story, ...]:
        """All of them."""
        return (*self.improved, *self.harmed)
