"""Hints at what a picture shows, gathered from evidence, and the prompt text that they make.

The text may be handed to any generator of reports: a language model, or a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crossrank._lists.evidence import Evidence, Link
from crossrank.report._heat import Box

MOST = 8
"""Keywords, and parts of the picture, that a prompt names."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A word and the part of a picture that it fits best.

    Parameters
    ----------
    word
        What it says.
    points
        How often and how high it came.
    box
        Where the part lies, ``x0, y0, x1, y1`` in [0, 1]; None where that is not known.
    """

    word: str
    points: float
    box: Box | None


@dataclass(frozen=True, slots=True)
class Hints:
    """What evidence says of one picture.

    Parameters
    ----------
    picture
        Its id.
    keywords
        The words that its parts ask for, the best first; each stands once.
    key_patches
        The parts that words ask for, likewise.
    """

    picture: str
    keywords: tuple[Hint, ...]
    key_patches: tuple[Hint, ...]


def hints_of(evidence: Iterable[Evidence]) -> list[Hints]:
    """Gather what several pieces of evidence say of each picture, in the order of the pictures.

    Points of the same word, or of the same part, are added: what many texts say counts more.

    Parameters
    ----------
    evidence
        Of pairs of a text and a picture, with keywords; pieces without any say nothing.
    """
    gathered: dict[str, list[Evidence]] = {}
    for piece in evidence:
        first = next(iter((*piece.keywords, *piece.key_patches)), None)
        if first is not None:
            owner = piece.query_id if first.query_box is not None else piece.candidate_id
            gathered.setdefault(owner, []).append(piece)
    return [
        Hints(
            picture,
            _merged((_hint(each) for one in pieces for each in one.keywords), by_box=False),
            _merged((_hint(each) for one in pieces for each in one.key_patches), by_box=True),
        )
        for picture, pieces in gathered.items()
    ]


def prompt(hints: Hints, most: int = MOST) -> str:
    """Return a text that asks for a description of a picture, and gives the hints.

    Parameters
    ----------
    hints
        Of the picture.
    most
        How many keywords and parts it names.
    """
    words = "; ".join(f"{hint.word} ({_place(hint)})" for hint in hints.keywords[:most])
    parts = "; ".join(f"{_place(hint)} ({hint.word})" for hint in hints.key_patches[:most])
    return (
        f"Describe the picture {hints.picture} in one or two plain sentences. An image–text "
        "matcher found the following, the most certain first; boxes are x0 y0 x1 y1 in parts of "
        "width and height. Use what fits together, and add nothing else.\n"
        f"Keywords: {words or 'none'}.\n"
        f"Parts that stand out: {parts or 'none'}."
    )


def _hint(link: Link) -> Hint:
    if link.query_box is not None:
        return Hint(link.candidate, link.weight, link.query_box)
    return Hint(link.query, link.weight, link.candidate_box)


def _merged(hints: Iterable[Hint], by_box: bool) -> tuple[Hint, ...]:
    """Add up the points of equal words or boxes; the box or word is that of the most points."""
    groups: dict[object, list[Hint]] = {}
    for hint in hints:
        key = hint.box if by_box and hint.box is not None else hint.word.casefold()
        groups.setdefault(key, []).append(hint)
    found = [
        Hint(best.word, sum(each.points for each in group), best.box)
        for group in groups.values()
        for best in [max(group, key=lambda each: each.points)]
    ]
    return tuple(sorted(found, key=lambda each: -each.points))


def _place(hint: Hint) -> str:
    if hint.box is None:
        return "somewhere"
    return " ".join(f"{corner:.2f}" for corner in hint.box)


__all__ = ["Hint", "Hints", "hints_of", "prompt"]
