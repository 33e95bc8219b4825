"""Evidence: which part of a query speaks for which part of a candidate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Link:
    """One part of the query, one part of the candidate, and how strongly they agree.

    Parameters
    ----------
    query, candidate
        What the part says (a word, a label), or its number as a str.
    weight
        The agreement, in the scorer's own units.
    query_box, candidate_box
        Where the part lies in the original image (``x0, y0, x1, y1`` in [0, 1]), if it is one.
    """

    query: str
    candidate: str
    weight: float
    query_box: tuple[float, float, float, float] | None = None
    candidate_box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a scorer saw in one pair.

    Parameters
    ----------
    query_id, candidate_id
        The pair.
    score
        Its raw score.
    links
        The parts that made it up.
    maps
        Optional dense maps for pictures: per query part a nested list ``[rows][columns]``.
    keywords
        Optional: the words that parts of the picture ask for most, first the one that leads; each
        is linked to the part that it fits best, and its weight counts how often and how high it
        came.
    key_patches
        Optional: the parts of the picture that words ask for most, likewise, each linked to a word.
    """

    query_id: str
    candidate_id: str
    score: float
    links: tuple[Link, ...] = ()
    maps: tuple[tuple[str, tuple[tuple[float, ...], ...]], ...] = ()
    keywords: tuple[Link, ...] = ()
    key_patches: tuple[Link, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the evidence as JSON can hold it."""
        return asdict(self)
