"""Scene graphs as flat arrays: what the graph encoder reads, without padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank import Ragged

if TYPE_CHECKING:
    from crossrank_graphs import Graph

Integers = NDArray[np.int64]
NAMELESS = "with"
"""Stands where a relation has no words of its own."""


@dataclass(slots=True)
class Phrases:
    """The distinct phrases of some graphs, numbered as they come.

    Parameters
    ----------
    rows
        The number of each phrase.
    """

    rows: dict[str, int] = field(default_factory=dict)

    def row(self, phrase: str) -> int:
        """Return a phrase's number."""
        return self.rows.setdefault(phrase, len(self.rows))

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class PackedGraphs:
    """Some graphs, end to end.  Phrases are rows of a table of vectors that is kept elsewhere.

    Parameters
    ----------
    objects
        Ragged over the G graphs, ``[O]`` int64: the phrase of each object.
    attributes
        Ragged over the O objects, ``[A]``: the phrase of each attribute.
    relations
        Ragged over the G graphs, ``[R, 3]``: the phrase, and the places of subject and object in
        their graph.
    """

    objects: Ragged
    attributes: Ragged
    relations: Ragged

    def __len__(self) -> int:
        return len(self.objects)

    def take(self, graphs: ArrayLike) -> PackedGraphs:
        """Return some of the graphs, in the given order."""
        chosen = np.asarray(graphs, np.int64)
        return PackedGraphs(
            self.objects.take(chosen),
            self.attributes.take(self.objects.rows_of(chosen)),
            self.relations.take(chosen),
        )

    def ends(self) -> tuple[Integers, Integers]:
        """Return ``[R]`` twice: rows of `objects` that are subject and object of each relation."""
        first = np.repeat(self.objects.offsets[:-1], self.relations.lengths)
        return first + self.relations.flat[:, 1], first + self.relations.flat[:, 2]


def pack(graphs: Sequence[Graph], phrases: Phrases) -> PackedGraphs:
    """Return graphs as flat arrays; new phrases are added to the table."""
    objects, attributes, relations = [], [], []
    for graph in graphs:
        objects.append([phrases.row(each.name) for each in graph.objects])
        attributes += [[phrases.row(word) for word in each.attributes] for each in graph.objects]
        relations.append(
            [
                (phrases.row(each.predicate or NAMELESS), each.subject.index, each.object.index)
                for each in graph.relations
            ]
        )
    return PackedGraphs(_ragged(objects), _ragged(attributes), _ragged(relations, 3))


def _ragged(parts: Sequence[Sequence[object]], width: int | None = None) -> Ragged:
    lengths = np.array([len(part) for part in parts], np.int64)
    flat = np.array([row for part in parts for row in part], np.int64)
    return Ragged(flat if width is None else flat.reshape(-1, width), lengths)
