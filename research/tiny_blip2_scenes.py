"""Scenes that a seed draws: one large thing and four small ones, with exact boxes and captions.

A caption names two things and how they lie, as in "a red circle left of a blue square". Which two
kinds of things may be named together depends on the split: no caption of training names a pair of
test. Captions of training name any two things of a picture; those of val and test name small ones
only, and hold for one picture of the gallery alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, count
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

SIZE = 64
"""Side of a picture in pixels."""
COLOURS = {
    "red": (215, 40, 40),
    "green": (45, 160, 60),
    "blue": (45, 80, 215),
    "yellow": (235, 215, 50),
    "purple": (140, 60, 170),
    "orange": (240, 140, 40),
    "black": (25, 25, 25),
    "white": (245, 245, 245),
    "pink": (250, 160, 190),
    "cyan": (60, 205, 215),
}
SHAPES = ("circle", "square", "triangle", "cross")
KINDS = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)
OPPOSITE = {"left of": "right of", "above": "below"}
STEP = 4
"""Things lie on a lattice of so many pixels: less to learn than every offset."""
LARGE, SMALL = (28, 32, 36), (4, 8, 12, 16)
"""The sides that things have, in pixels."""
SMALL_THINGS = 4
PAIRS = np.random.default_rng(2024).permutation(list(combinations(range(len(KINDS)), 2)))
SHARES = {"val": (0.0, 0.1), "test": (0.1, 0.3), "train": (0.3, 1.0)}
"""Which part of `PAIRS` the captions of a split come from."""
GRID = 4
"""Points per pixel and axis that decide how much of a pixel a shape covers."""

Fact: TypeAlias = tuple[int, str, int]
"""A kind, ``"left of"`` or ``"above"``, and another kind."""


@dataclass(frozen=True, slots=True)
class Thing:
    """A coloured shape.

    Parameters
    ----------
    kind
        Row in `KINDS`.
    box
        Its left, top, right and bottom edge in pixels: the shape touches all four.
    """

    kind: int
    box: tuple[int, int, int, int]

    @property
    def area(self) -> float:
        """The share of the picture that its box covers."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1]) / SIZE**2


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture and what it shows.

    Parameters
    ----------
    picture
        ``[SIZE, SIZE, 3]`` uint8.
    things
        The large one first.
    """

    picture: NDArray[np.uint8]
    things: tuple[Thing, ...]

    def facts(self) -> dict[Fact, tuple[Thing, Thing]]:
        """Return what can be said of two of the things."""
        found = (relation(*pair) for pair in combinations(self.things, 2))
        return {(a.kind, how, b.kind): (a, b) for a, how, b in filter(None, found)}


def relation(one: Thing, other: Thing) -> tuple[Thing, str, Thing] | None:
    """Return how two things lie, or None where they lie askew (steeper than one in two)."""
    x, y = (
        other.box[axis] + other.box[axis + 2] - one.box[axis] - one.box[axis + 2] for axis in (0, 1)
    )
    if max(abs(x), abs(y)) < 2 * min(abs(x), abs(y)):
        return None
    how, first = ("left of", x > 0) if abs(x) > abs(y) else ("above", y > 0)
    return (one, how, other) if first else (other, how, one)


def caption(fact: Fact, *, turned: bool = False) -> str:
    """Return a fact in words, said from its first kind or, turned, from its second."""
    first, how, second = fact
    if turned:
        first, how, second = second, OPPOSITE[how], first
    return f"{article(KINDS[first])} {how} {article(KINDS[second])}"


def article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def allowed(split: str) -> frozenset[tuple[int, int]]:
    """Return the pairs of kinds, smaller row first, that captions of a split may name."""
    start, end = SHARES[split]
    rows = slice(round(start * len(PAIRS)), round(end * len(PAIRS)))
    return frozenset((int(a), int(b)) for a, b in PAIRS[rows])


def pair(fact: Fact) -> tuple[int, int]:
    """Return the kinds of a fact, smaller row first."""
    return min(fact[0], fact[2]), max(fact[0], fact[2])


def draw(rng: np.random.Generator) -> Scene:
    """Return a scene by chance."""
    while True:
        kinds = rng.choice(len(KINDS), SMALL_THINGS + 1, replace=False)
        sides = rng.choice(SMALL, SMALL_THINGS)
        boxes = _places(rng, [int(rng.choice(LARGE)), *sorted(map(int, sides))[::-1]])
        if boxes is not None:
            things = tuple(Thing(int(kind), box) for kind, box in zip(kinds, boxes, strict=True))
            return Scene(_painted(rng, things), things)


def gallery(split: str, size: int, seed: int) -> list[tuple[Scene, Fact]]:
    """Return scenes with a fact of two small things each that holds for no other scene of them."""
    pairs, chosen = allowed(split), list[tuple[Scene, Fact]]()
    told, shown = set[Fact](), set[Fact]()
    for number in count():
        if len(chosen) == size:
            return chosen
        rng = np.random.default_rng([seed, list(SHARES).index(split), number])
        scene = draw(rng)
        facts = scene.facts()
        fresh = [
            fact
            for fact, things in facts.items()
            if pair(fact) in pairs and fact not in shown and scene.things[0] not in things
        ]
        if fresh and told.isdisjoint(facts):
            fact = fresh[int(rng.integers(len(fresh)))]
            chosen.append((scene, fact))
            told.add(fact)
            shown.update(facts)
    raise AssertionError("count() does not end")


def boxes_of(things: Sequence[Thing]) -> NDArray[np.float32]:
    """Return boxes ``[n, 4]``, xyxy, as shares of the picture's sides."""
    edges = np.array([thing.box for thing in things], np.float32).reshape(-1, 4)
    return np.asarray(edges / SIZE, np.float32)


def _places(
    rng: np.random.Generator, sides: Sequence[int]
) -> list[tuple[int, int, int, int]] | None:
    """Return boxes of these sides that do not overlap, or None if luck ran out."""
    taken: list[tuple[int, int, int, int]] = []
    for side in sides:
        for _ in range(20):
            x, y = (STEP * int(v) for v in rng.integers(0, (SIZE - side) // STEP, 2, endpoint=True))
            box = (x, y, x + side, y + side)
            if all(_apart(box, other) for other in taken):
                taken.append(box)
                break
        else:
            return None
    return taken


def _apart(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return any(one[axis + 2] <= other[axis] or other[axis + 2] <= one[axis] for axis in (0, 1))


def _painted(rng: np.random.Generator, things: Sequence[Thing]) -> NDArray[np.uint8]:
    canvas = np.full((SIZE, SIZE, 3), rng.uniform(120, 170, 3))
    canvas += rng.normal(0, 6, canvas.shape)
    colours = list(COLOURS.values())
    for thing in things:
        left, top, right, bottom = thing.box
        colour = colours[thing.kind // len(SHAPES)] + rng.normal(0, 8, 3)
        cover = coverage(SHAPES[thing.kind % len(SHAPES)], right - left)[..., None]
        part = canvas[top:bottom, left:right]
        part += cover * (colour - part)
    return np.asarray(canvas.round().clip(0, 255), np.uint8)


def coverage(shape: str, side: int) -> NDArray[np.float64]:
    """Return ``[side, side]``: how much of each pixel a shape covers, in [0, 1]."""
    line = (np.arange(side * GRID) + 0.5) / (side * GRID) * 2 - 1
    x, y = np.abs(line)[None], line[:, None]
    inside: dict[str, Any] = {
        "circle": x**2 + y**2 <= 1,
        "square": (x <= 1) & (np.abs(y) <= 1),
        "triangle": x <= (y + 1) / 2,
        "cross": (x <= 0.3) | (np.abs(y) <= 0.3),
    }
    points = np.asarray(inside[shape], np.float64)
    return np.asarray(points.reshape(side, GRID, side, GRID).mean(axis=(1, 3)))
