"""The arithmetic of late interaction in numpy: one anchor item against the tokens of many."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

import crossrank as cr
from crossrank.plugin.optional import loaded, required

Floats: TypeAlias = NDArray[np.float32]
Integers: TypeAlias = NDArray[np.int64]

MOST_PADDING = 3
PIECE = 16
"""From so many items side by side on, about, it is quicker to widen piece by piece than to copy row
by row first."""
SERIAL = 1 << 14
"""So few numbers torch converts without starting its threads."""


class Kernel:
    """Products by BLAS, maxima by halving.  A subclass may be faster, never different.

    Methods take the tokens ``[R, D]`` of which they read the rows `part`, N of them, and the
    ``[L, D]`` tokens of the anchor, all float32; none writes to them.  A kernel belongs to one
    call of one thread: what it returns lies in memory that its next answer may use again, since
    fresh memory costs more than the gathering.
    """

    name = "numpy"

    def __init__(self) -> None:
        self._rooms: dict[str, NDArray[Any]] = {}

    def rows(self, tokens: cr.Ragged) -> NDArray[Any]:
        """Return the flat tokens, contiguous, in float32, or in float16 if that is what they are.

        The latter are widened part by part where they are used: a copy of all would not fit the
        caches, and may not fit the memory.
        """
        if tokens.dtype == np.float16:
            return writeable(np.ascontiguousarray(tokens.flat))
        return np.ascontiguousarray(tokens.flat, np.float32)

    def gather(self, tokens: NDArray[Any], partners: cr.Ragged, items: Integers) -> Floats:
        """Return a float32 copy of some items.

        Parameters
        ----------
        tokens
            What `rows` made of `partners`.
        items
            ``[M]`` which ones.
        """
        if tokens.dtype == np.float16:
            breaks = np.flatnonzero(np.diff(items) != 1) + 1
            if PIECE * (len(breaks) + 1) <= len(items):
                return self._pieces(tokens, partners, np.split(items, breaks))
        lengths, uniform = partners.lengths, int(partners.lengths[items[0]])
        if (lengths == uniform).all():
            rows = (items[:, None] * uniform + np.arange(uniform)).ravel()
        else:
            rows = partners.rows_of(items)
        taken = self.room("taken", len(rows), tokens.shape[1], tokens.dtype)
        # By the row: some processors copy pieces of 2 KB and more several times as slowly.  The
        # rows are right; numpy would copy once more to be able to take an error back.
        np.take(tokens, rows, axis=0, out=taken, mode="clip")
        return self.widen(taken)

    def _pieces(
        self, tokens: NDArray[Any], partners: cr.Ragged, pieces: Sequence[Integers]
    ) -> Floats:
        """Gather float16 that mostly lies side by side, and widen it on the way."""
        spans = [slice(*partners.offsets[[each[0], each[-1] + 1]].tolist()) for each in pieces]
        ends = np.cumsum([each.stop - each.start for each in spans]).tolist()
        room = self.room("wide", ends[-1], tokens.shape[1], np.float32)
        for span, end in zip(spans, ends, strict=True):
            widened(tokens[span], room[end - (span.stop - span.start) : end])
        return room

    def widen(self, rows: NDArray[Any]) -> Floats:
        """Return rows in float32."""
        if rows.dtype != np.float16:
            return rows
        wide = self.room("wide", len(rows), rows.shape[1], np.float32)
        widened(rows, wide)
        return wide

    def room(self, purpose: str, count: int, width: int, dtype: DTypeLike) -> NDArray[Any]:
        """Return at least `count` uninitialised rows, the same memory for the same purpose."""
        room = self._rooms.get(purpose)
        if room is None or len(room) < count or room.shape[1] != width or room.dtype != dtype:
            room = self._rooms[purpose] = np.empty((count, width), dtype)
        return room[:count]

    def best_of_segments(
        self, tokens: Floats, part: slice, anchor: Floats, lengths: Integers
    ) -> Floats:
        """Return ``[M, L]``: for each token of the anchor its best product in M runs of rows.

        Parameters
        ----------
        tokens, part, anchor
            See the class.
        lengths
            ``[M]`` positive, adding up to N.
        """
        table = self.room("table", part.stop - part.start, len(anchor), np.float32)
        np.matmul(tokens[part], anchor.T, out=table)
        rows = padded_rows(lengths)
        if rows is not None and rows.size > MOST_PADDING * len(table):
            return best_of_runs(table, lengths)
        segments = table.reshape(len(lengths), -1, len(anchor)) if rows is None else table[rows]
        return largest(segments)

    def best_of_rows(self, tokens: Floats, part: slice, anchor: Floats) -> Floats:
        """Return ``[N]``: for each row its best product with a token of the anchor."""
        # This way round, the maximum runs over whole rows, which vectorises.
        best: Floats = (anchor @ tokens[part].T).max(axis=0)
        return best


def best_of_runs(table: Floats, lengths: Integers) -> Floats:
    """Return ``[M, L]``, the maxima over M runs of rows of ``[N, L]``, however uneven they are."""
    best: Floats = np.maximum.reduceat(table, np.cumsum(lengths) - lengths, axis=0)
    return best


def largest(segments: Floats) -> Floats:
    """Return ``[M, L]``, the maxima of ``[M, N, L]`` over the middle axis."""
    torch = serial_torch()
    if torch is not None:
        best: Floats = torch.from_numpy(segments).amax(dim=1).numpy()
        return best
    width = segments.shape[1]
    while width > 1:
        # Halves may overlap, a maximum does not mind; whole rows at a time vectorise.
        half = (width + 1) // 2
        segments = np.maximum(segments[:, :half], segments[:, width - half : width])
        width = half
    return segments[:, 0]


def widened(rows: NDArray[Any], wide: Floats | None = None) -> Floats:
    """Return float16 as float32, anything else as it is.

    torch does this several times as fast as numpy.  In small parts it does so in this thread: its
    threads would compete with those of BLAS, which wait for the result.

    Parameters
    ----------
    rows
        Any shape.
    wide
        Where to write the result, if not into memory of its own.
    """
    if rows.dtype != np.float16:
        return rows
    if wide is None:
        wide = np.empty(rows.shape, np.float32)
    torch = serial_torch()
    if torch is not None and rows.flags.writeable:
        torch.from_numpy(wide).copy_(torch.from_numpy(rows))
        return wide
    if torch is None and find_spec("torch") is None:
        np.copyto(wide, rows)
        return wide
    required("torch", "filip", "filip, over float16 tokens,")
    from crossrank_filip.shared_memory import as_tensor

    into, values = as_tensor(wide).view(-1), as_tensor(np.ascontiguousarray(rows)).view(-1)
    step = SERIAL if torch is None else max(1, len(into))
    for start in range(0, len(into), step):
        into[start : start + step].copy_(values[start : start + step])
    return wide


def writeable(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the same memory as torch likes it, so that not every part of it must be wrapped."""
    if rows.flags.writeable or serial_torch() is None:
        return rows
    from crossrank_filip.shared_memory import as_tensor

    shared: NDArray[Any] = as_tensor(rows).numpy()
    return shared


def serial_torch() -> Any:
    """Return torch if it is loaded and does its work in the thread that calls it, else None.

    Where several threads score blocks side by side, this is so, and torch then is the fastest for
    what rounds nothing.  With threads of its own it would disturb those of BLAS.
    """
    torch = loaded("torch")
    return torch if torch is not None and torch.get_num_threads() == 1 else None


def padded_rows(lengths: Integers) -> NDArray[np.int32] | None:
    """Return ``[M, max]`` rows that make M runs equally long, or None where they are already.

    A short run repeats its last row, which leaves its maximum as it is: no value is made up.
    """
    width = int(lengths.max())
    if (lengths == width).all():
        return None
    last = (lengths - 1).astype(np.int32)[:, None]
    starts = (np.cumsum(lengths) - lengths).astype(np.int32)[:, None]
    rows: NDArray[np.int32] = starts + np.minimum(np.arange(width, dtype=np.int32), last)
    return rows
