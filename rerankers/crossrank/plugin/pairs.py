"""The pairs of a block, and the sides of a run: which rows occur, by asking and by modality."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._items.collection import Collection
from crossrank.errors import OrientationError

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Side:
    """The items of one side of a run that have a candidate, or are one.

    Parameters
    ----------
    collection
        All items of that side; features are read when they are used.
    rows
        ``[N]`` rows of those that occur, ascending.
    """

    collection: Collection
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of those that occur."""
        return tuple(self.collection.ids[row] for row in self.rows.tolist())

    @property
    def places(self) -> Rows:
        """``[len(collection)]`` each row's place among `rows`; 0 for what does not occur.

        What `prepare` computes for ``[N]`` items is found by a block's run rows with it:
        ``table[places[pairs.candidate_rows]]``.
        """
        places = np.zeros(len(self.collection), np.int64)
        places[self.rows] = np.arange(len(self.rows))
        return places


@dataclass(frozen=True, slots=True)
class Pairs:
    """The P pairs of a block, in row-major order of its mask.

    Parameters
    ----------
    queries, columns
        ``[P]`` where in the block: rows of ``block.queries``, and places in the list.
    candidates
        ``[P]`` rows of ``block.candidates``.
    query_rows, candidate_rows
        ``[P]`` rows of the run's queries and of its gallery, for a state made in `prepare`.
    shape
        ``(Q, K)`` of the block.
    direction
        ``"t2i"``, ``"i2t"``, in general ``<query>2<candidate>``.
    """

    queries: Rows
    columns: Rows
    candidates: Rows
    query_rows: Rows
    candidate_rows: Rows
    shape: tuple[int, int]
    direction: str

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def texts(self) -> Rows:
        """``[P]`` rows of ``block.texts``."""
        return self.queries if text_asks(self.direction) else self.candidates

    @property
    def images(self) -> Rows:
        """``[P]`` rows of ``block.images``."""
        return self.candidates if text_asks(self.direction) else self.queries

    @property
    def text_rows(self) -> Rows:
        """``[P]`` rows of the run's collection of texts."""
        return self.query_rows if text_asks(self.direction) else self.candidate_rows

    @property
    def image_rows(self) -> Rows:
        """``[P]`` rows of the run's collection of images."""
        return self.candidate_rows if text_asks(self.direction) else self.query_rows

    def spread(
        self, values: NDArray[np.floating[Any]], chosen: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """Return numbers of the pairs as ``[Q, K]`` float32, 0 elsewhere.

        Parameters
        ----------
        values
            One for each pair, or for each pair that is chosen.
        chosen
            ``[P]`` bool: the pairs that the values are of; None for all.
        """
        spread = np.zeros(self.shape, np.float32)
        at = slice(None) if chosen is None else chosen
        if chosen is not None and len(values) == len(self):
            values = values[chosen]
        spread[self.queries[at], self.columns[at]] = values
        return spread

    def groups(self, of: Rows) -> list[Rows]:
        """Return the numbers of the pairs that share an item, one array for each item.

        Parameters
        ----------
        of
            ``[P]`` the items, such as `candidates`; the groups rise by them, and within a group
            the pairs keep their order.
        """
        order = np.argsort(of, kind="stable")
        starts = np.flatnonzero(np.diff(of[order])) + 1
        return np.split(order, starts) if len(order) else []


def text_asks(direction: str) -> bool:
    """Return whether texts ask for images, False where images ask for texts.

    Raises
    ------
    OrientationError
        If a direction is another one.
    """
    asked, _, listed = direction.partition("2")
    if {asked, listed} != {"t", "i"}:
        raise OrientationError(
            f"in the direction {direction!r} the sides are not one of texts and one of images; "
            "a reranker for t2i and i2t says so in info.directions"
        )
    return asked == "t"


def runs(lengths: Rows, most: int) -> Iterator[slice]:
    """Cut ragged items into runs of neighbours, to be computed with at a time.

    Parameters
    ----------
    lengths
        ``[N]`` rows of each item.
    most
        How many rows a run has at the utmost, unless it is a single item.
    """
    ends = np.cumsum(lengths)
    start = 0
    while start < len(lengths):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield slice(start, stop)
        start = stop


__all__ = ["Pairs", "Side", "runs", "text_asks"]
