"""The patches of every picture of a run, made once and kept: their tokens, and their boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.cached_array import cached_array, scratch_array
from crossrank.plugin.pairs import Side
from crossrank.plugin.parts import grid_boxes
from crossrank_adamatch.grids import Grid, boxes_feature, read_grids
from crossrank_adamatch.patches import Cells, Floats, PatchSource, distinct

Integers = NDArray[np.int64]
SHARE_OF_BUDGET = 16
MOST_PICTURES = 256
"""Pictures that are read and worked on together."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was made of the items of one side that occur.

    Parameters
    ----------
    rows
        Per item ``[P, D]`` float32 unit rows.
    place
        Per row of the collection its place among these.
    """

    rows: cr.Ragged
    place: Integers

    def of(self, items: Integers) -> cr.Ragged:
        """Return a copy of what was made of some items, by their rows in the collection."""
        return self.rows.take(self.place[items])


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of a run that occur, and what makes their patches.

    Parameters
    ----------
    side
        The collection, and which rows of it.
    grids
        Of each of these.
    source
        What makes the patches.
    """

    side: Side
    grids: Sequence[Grid | None]
    source: PatchSource

    @classmethod
    def of(cls, side: Side, source: PatchSource, given: Grid | None) -> Pictures:
        """Read the pictures' grids, or take the given one; see `read_grids`."""
        return cls(side, read_grids(side.collection, side.rows, given, source.feature), source)

    @property
    def cells(self) -> cr.Ragged:
        """The feature that holds the cells, of the whole collection."""
        cells: cr.Ragged = self.side.collection[self.source.feature]
        return cells

    @property
    def lengths(self) -> Integers:
        """``[N]`` the cells of each picture."""
        return self.cells.lengths[self.side.rows]

    @property
    def counts(self) -> Integers:
        """``[N]`` the patches of each picture."""
        made = map(self.source.count, self.lengths.tolist(), self.grids)
        return np.fromiter(made, np.int64, len(self.grids))

    @property
    def dim(self) -> int:
        """The size of a patch's token."""
        trailing = self.cells.trailing
        return self.source.dim(trailing[0]) if trailing else 0  # no rows, no size

    def patches(self, context: cr.Context) -> Iterator[tuple[int, Floats, Floats]]:
        """Yield each picture's place, tokens and boxes; some pictures are in memory at a time."""
        row_bytes = 4 * self.cells.trailing[0] * (1 + int(self.lengths.max(initial=0)))
        most = max(1, min(MOST_PICTURES, context.memory_budget // SHARE_OF_BUDGET // row_bytes))
        for start in range(0, len(self.grids), most):
            chosen = range(start, min(start + most, len(self.grids)))
            made = self.source.make([self._cells(place) for place in chosen])
            for place, (rows, boxes) in zip(chosen, made, strict=True):
                yield place, rows, boxes
            context.progress("adamatch: patches", chosen.stop, len(self.grids))

    def _cells(self, place: int) -> Cells:
        collection, row, grid = self.side.collection, int(self.side.rows[place]), self.grids[place]
        features = np.asarray(self.cells[row], np.float32)
        name = boxes_feature(collection, self.source.feature)
        known = () if name is None else collection[name][row]
        if grid is None or len(known) == len(features):
            return Cells(features, np.asarray(known, np.float32), grid)
        return Cells(features, grid_boxes(*grid).astype(np.float32), grid)


def prepared(
    context: cr.Context, pictures: Pictures, prune: float | None
) -> tuple[Made, cr.Ragged]:
    """Make the patches of the run's pictures, or find them in the cache folder.

    Returns
    -------
    patches, boxes
        The patches' tokens; and of each picture ``[P, 4]``, in [0, 1] of it.
    """
    side, tables = pictures.side, _Tables(context, pictures, prune)
    key = cr.fingerprint(
        [
            side.collection.fingerprint(),
            side.rows,
            pictures.grids,
            pictures.source.fingerprint(),
            prune,
        ]
    )
    lengths = pictures.counts
    if prune is not None:
        shape = (int(lengths.sum()),)
        kept = cached_array("adamatch-kept", context, key, shape, tables.fill_kept, np.bool_)
        tables.kept = cr.Ragged(kept, lengths)
        lengths = np.fromiter((int(each.sum()) for each in tables.kept), np.int64, len(lengths))
    rows = int(lengths.sum())
    tokens = cached_array("adamatch", context, key, (rows, pictures.dim), tables.fill_tokens)
    boxes = cached_array("adamatch-boxes", context, key, (rows, 4), tables.fill_boxes)
    return Made(cr.Ragged(tokens, lengths), side.places), cr.Ragged(boxes, lengths)


class _Tables:
    """Writes the tables of a run; boxes that were made beside the tokens are not made again."""

    def __init__(self, context: cr.Context, pictures: Pictures, prune: float | None) -> None:
        self.context, self.pictures, self.prune = context, pictures, prune
        self.kept: cr.Ragged | None = None
        self._boxes: NDArray[np.float32] | None = None

    def fill_kept(self, table: NDArray[np.bool_]) -> None:
        """Write which patches stay."""
        at = 0
        for _, tokens, _ in self.pictures.patches(self.context):
            table[at : at + len(tokens)] = distinct(tokens, float(self.prune or 0))
            at += len(tokens)

    def fill_tokens(self, table: Floats) -> None:
        """Write the tokens, and remember the boxes."""
        most = self.context.memory_budget // SHARE_OF_BUDGET
        boxes = scratch_array((len(table), 4), most)
        self._fill(table, boxes)
        self._boxes = boxes

    def fill_boxes(self, table: Floats) -> None:
        """Write the boxes."""
        if self._boxes is None:  # the tokens were found in the cache folder, and no boxes with them
            self._fill(None, table)
        else:
            table[:] = self._boxes

    def _fill(self, tokens: Floats | None, boxes: Floats) -> None:
        at = 0
        for place, rows, corners in self.pictures.patches(self.context):
            stay = slice(None) if self.kept is None else self.kept[place]
            end = at + len(corners[stay])
            if tokens is not None:
                tokens[at:end] = rows[stay]
            boxes[at:end] = corners[stay]
            at = end
