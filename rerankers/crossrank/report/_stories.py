"""What a page tells of a query: its candidates before and after, and what each stage said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank.report._heat import Box, to_png
from crossrank.report._pictures import data_uri

NOWHERE = 1 << 30
"""The rank of what a list does not hold: worse than any."""


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
        ``[rows][columns]`` over the part `extent` of the picture, NaN where nothing lies; empty
        where there is none.
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
    id, text
        What it is.
    picture
        By which the page knows its picture; None where it is a text.
    base_rank, rank, base_score, score
        Before and after; no base score where there was none.
    relevant
        Whether it is what the query asks for.
    said
        By stage.
    """

    id: str
    text: str
    picture: str | None
    base_rank: int
    rank: int
    base_score: float | None
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
        All of these, and others that matter, by new rank.
    """

    id: str
    text: str
    picture: str | None
    before: int | None
    after: int | None
    first: tuple[Card, ...]
    last: tuple[Card, ...]
    cards: tuple[Card, ...]

    @property
    def change(self) -> str:
        """``"better"``, ``"worse"`` or ``"same"``, by the rank of the first relevant item."""
        before = NOWHERE if self.before is None else self.before
        after = NOWHERE if self.after is None else self.after
        return "better" if after < before else "worse" if after > before else "same"


def scale(story: Story) -> tuple[float, float]:
    """Return the range of all heat maps of a query, which share one scale of colours."""
    values = np.array(
        [value for word in _words(story) for row in word.heat for value in row], np.float64
    )
    if np.isnan(values).all():  # also where there is none at all
        return 0.0, 1.0
    return float(np.nanmin(values)), float(np.nanmax(values))


def overlays(story: Story) -> list[list[list[dict[str, Any]]]]:
    """Return per candidate, stage and word what is laid over the picture, for the page's script."""
    low, high = scale(story)
    return [
        [[_overlay(word, low, high) for word in said.words] for said in card.said]
        for card in story.cards
    ]


def nested(values: NDArray[np.floating]) -> tuple[tuple[float, ...], ...]:
    """Return a heat map ``[rows, columns]`` as a `Word` holds it."""
    return tuple(tuple(float(value) for value in row) for row in values)


def _overlay(word: Word, low: float, high: float) -> dict[str, Any]:
    box = None if word.box is None else [round(side, 4) for side in word.box]
    if not word.heat:
        return {"box": box}
    png = to_png(np.array(word.heat, np.float64), low, high)
    extent = [round(side, 4) for side in word.extent]
    return {"box": box, "heat": data_uri(png, "image/png"), "extent": extent}


def _words(story: Story) -> Iterator[Word]:
    for card in story.cards:
        for said in card.said:
            yield from said.words
