"""A graph as a drawing: its objects in a row, as the text names them, and arcs between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossrank_graphs.graph import Graph, Relation

LETTER, LINE, GAP, PAD, STEP = 7.6, 17.0, 22.0, 12.0, 34.0
"""In pixels: a letter, a line, between boxes, inside them, from one level of arcs to the next."""


@dataclass(frozen=True, slots=True)
class Node:
    """The box of an object; `lines` are its name and its attributes."""

    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Arc:
    """A relation: the path from subject to object, and where its predicate stands."""

    path: str
    label: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a page needs to draw a graph as SVG."""

    width: float
    height: float
    nodes: tuple[Node, ...]
    arcs: tuple[Arc, ...]


def draw(graph: Graph) -> Drawing:
    """Place the objects of a graph in a row, and its relations above them.

    Arcs that would cross each other's labels lie on levels of their own.
    """
    boxes, right = list[tuple[float, float, tuple[str, ...]]](), PAD
    for thing in graph.objects:
        lines = (thing.name, *thing.attributes)
        width = LETTER * max(map(len, lines)) + 2 * PAD
        boxes.append((right, width, lines))
        right += width + GAP
    levels = _levels(graph.relations)
    top = STEP * (max(levels, default=0) + 1) if levels else 0.0
    nodes = tuple(
        Node(x, top + PAD, width, LINE * len(lines) + PAD, lines) for x, width, lines in boxes
    )
    arcs = tuple(
        _arc(relation, nodes, top - STEP * level)
        for relation, level in zip(graph.relations, levels, strict=True)
    )
    lengths = [arc.x + LETTER * len(arc.label) / 2 + PAD for arc in arcs]
    below = max((node.y + node.height for node in nodes), default=top)
    return Drawing(max([right, *lengths]), below + PAD, nodes, arcs)


def _levels(relations: Sequence[Relation]) -> list[int]:
    """Return a level for each relation, so that those of one level span different objects."""
    levels: list[int] = []
    taken: list[tuple[int, int, int]] = []
    for relation in relations:
        low, high = sorted((relation.subject.index, relation.object.index))
        level = 0
        while any(
            level == of and low < end and start < max(high, low + 1) for start, end, of in taken
        ):
            level += 1
        taken.append((low, max(high, low + 1), level))
        levels.append(level)
    return levels


def _arc(relation: Relation, nodes: Sequence[Node], y: float) -> Arc:
    one, other = nodes[relation.subject.index], nodes[relation.object.index]
    start, end = one.x + one.width / 2, other.x + other.width / 2
    if one is other:
        end += one.width / 4
    bend = y - STEP + PAD
    over = f"{start:.1f} {bend:.1f} {end:.1f} {bend:.1f}"
    path = f"M {start:.1f} {one.y:.1f} C {over} {end:.1f} {other.y:.1f}"
    return Arc(path, relation.predicate, (start + end) / 2, 0.25 * one.y + 0.75 * bend - 4)
