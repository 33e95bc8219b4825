"""Ragged arrays: one flat array and the number of rows that belong to each item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank._files.npy_rows import take_spans
from crossrank._items.arrays import has_members
from crossrank._items.compact import Compact
from crossrank.errors import InputError


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Ragged:
    """A list of arrays that differ in their first axis, stored end to end.

    Parameters
    ----------
    flat
        ``[sum(lengths), ...]``, any dtype; may be memory-mapped, or a `Compact` that is decoded
        where it is read.
    lengths
        ``[N]`` non-negative integers: how many rows of `flat` belong to each item.

    Raises
    ------
    InputError
        If the lengths do not add up to the rows of `flat`.
    """

    flat: NDArray[Any]
    lengths: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def __init__(self, flat: ArrayLike | Compact, lengths: ArrayLike) -> None:
        rows: Any = flat if isinstance(flat, Compact) else np.asanyarray(flat)
        counts = np.asarray(lengths)
        if counts.size == 0:
            counts = counts.astype(np.int64)
        if counts.ndim != 1 or counts.dtype.kind not in "iu" or (counts < 0).any():
            raise InputError("Ragged: lengths must be a vector of non-negative integers")
        # before they are summed: 2⁶⁴ - 1 would become -1, and a sum of int64 may wrap
        if rows.ndim and counts.size and counts.max() > rows.shape[0]:
            raise InputError(f"Ragged: a length is {counts.max()}, flat has {rows.shape[0]} rows")
        counts = counts.astype(np.int64)
        if rows.ndim == 0 or int(counts.sum()) != rows.shape[0]:
            size = "a scalar" if rows.ndim == 0 else f"{rows.shape[0]} rows"
            raise InputError(f"Ragged: lengths add up to {int(counts.sum())}, flat has {size}")
        object.__setattr__(self, "flat", rows)
        object.__setattr__(self, "lengths", counts)
        object.__setattr__(self, "offsets", np.concatenate([[0], np.cumsum(counts)]))

    @classmethod
    def from_list(cls, parts: Iterable[ArrayLike]) -> Ragged:
        """Join one array per item; an empty list of items gives a ragged array of no items."""
        if not has_members(parts):
            raise InputError(f"Ragged.from_list: {parts!r:.60} is no list of arrays")
        arrays = [np.asarray(part) for part in parts]
        if any(array.ndim == 0 for array in arrays):
            raise InputError("Ragged.from_list: a part is a scalar; give an array per item")
        if not arrays:
            return cls(np.zeros((0,), np.float32), np.zeros((0,), np.int64))
        return cls(np.concatenate(arrays), np.array([len(part) for part in arrays], np.int64))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, item: int) -> NDArray[Any]:
        """Return the rows of one item, a view."""
        count = len(self)
        if not -count <= item < count:
            raise IndexError(f"item {item} of a ragged array of {count}")
        item %= count
        return self.flat[self.offsets[item] : self.offsets[item + 1]]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[item] for item in range(len(self)))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type."""
        return self.flat.dtype

    @property
    def trailing(self) -> tuple[int, ...]:
        """The shape of one row; ``(D,)`` for tokens."""
        return self.flat.shape[1:]

    def rows_of(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of `flat` that the given items occupy, in their order."""
        lengths = self.lengths[items]
        starts = np.cumsum(lengths) - lengths
        shift = np.repeat(self.offsets[items] - starts, lengths)
        rows: NDArray[np.int64] = np.arange(int(lengths.sum()), dtype=np.int64) + shift
        return rows

    def take(self, items: ArrayLike) -> Ragged:
        """Return a copy that holds the given items, in the given order.

        Parameters
        ----------
        items
            ``[M]`` integers; an item may stand more than once.
        """
        chosen = np.asarray(items, dtype=np.int64)
        lengths = self.lengths[chosen]
        flat: Any = self.flat
        if isinstance(flat, Compact):
            return Ragged(flat.spans(self.offsets[chosen], lengths), lengths)
        return Ragged(take_spans(flat, self.offsets[chosen], lengths), lengths)

    def with_arrays(self, flat: Any, lengths: Any) -> Ragged:
        """Return it with other views of its arrays, which are not checked again."""
        view = object.__new__(Ragged)
        object.__setattr__(view, "flat", flat)
        object.__setattr__(view, "lengths", lengths)
        object.__setattr__(view, "offsets", self.offsets)
        return view

    def digest_parts(self) -> tuple[Any, ...]:
        """Return what its fingerprint is made of, in this order."""
        return self.lengths, self.flat

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ragged):
            return NotImplemented
        return np.array_equal(self.lengths, other.lengths) and np.array_equal(self.flat, other.flat)

    def __repr__(self) -> str:
        return (
            f"Ragged({len(self)} items, {self.flat.shape[0]} rows of {self.trailing}, {self.dtype})"
        )
