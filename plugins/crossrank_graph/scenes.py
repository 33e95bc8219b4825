"""A graph as what is looked for in a picture: units, and which of them lies above which."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from crossrank_graphs import Graph, Object, Relation

Number: TypeAlias = Callable[[Object | Relation, bool], int | None]
"""Gives the number of a phrase; the flag says whether an object comes with its attributes."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The phrases of one text, by their numbers.

    Parameters
    ----------
    things
        Every object with its attributes.
    relations
        Every relation with the names of its ends.
    orders
        Pairs of names of which the first ought to lie above the second.
    """

    things: tuple[int, ...] = ()
    relations: tuple[int, ...] = ()
    orders: tuple[tuple[int, int], ...] = ()


def scene_of(graph: Graph, number: Number) -> Scene:
    """Return what is looked for of a graph; phrases without a number are left out."""
    orders = []
    for relation in graph.relations:
        way = vertical(relation.predicate)
        ends = number(relation.subject, False), number(relation.object, False)
        if way and None not in ends and relation.subject.name != relation.object.name:
            orders.append(ends if way > 0 else ends[::-1])
    return Scene(
        _known(number(thing, True) for thing in graph.objects),
        _known(number(relation, True) for relation in graph.relations),
        tuple((upper, lower) for upper, lower in orders if upper is not None and lower is not None),
    )


def phrase_of(part: Object | Relation, attributes: bool) -> str:
    """Return the words of a unit: ``"red ball"``, ``"ball"`` or ``"dog chase ball"``."""
    if isinstance(part, Relation):
        return f"{part.subject.name} {part.predicate} {part.object.name}"
    return part.phrase if attributes else part.name


def _known(numbers: Iterable[int | None]) -> tuple[int, ...]:
    return tuple(number for number in numbers if number is not None)


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


ABOVE = _words(
    "above atop on onto over off down across through along",
    "ride sit stand lie lay lean jump climb leap dive fly float balance mount straddle cross",
    "walk run play swim surf ski skate slide step wear hold carry hang kick dribble throw",
    "eat drink read",
)
BELOW = _words("below beneath under underneath front")
BESIDE = _words(
    "with have near at next of beside and between to by from like behind toward towards after",
    "among around as against opposite follow chase watch face",
)


def vertical(predicate: str) -> int:
    """Return 1 if the subject ought to lie above the object, −1 for below, 0 if nothing is said.

    What is in front of something lies lower in a picture.

    Parameters
    ----------
    predicate
        Lemmas, such as ``"jump over"``.  A word that says below, or beside, outweighs a verb.
    """
    words = set(predicate.lower().split())
    if words & BELOW:
        return -1
    return 1 if words & ABOVE and not words & BESIDE else 0
