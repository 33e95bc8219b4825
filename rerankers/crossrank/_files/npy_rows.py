"""Arrays on disk: mapped for whoever looks at them as a whole, read by the row for blocks.

Rows are read with ``preadv`` straight into the array that a block holds, not through the map:
memory is then what blocks hold, whatever the page cache does, and a file that became shorter is
an error instead of a crash.  What goes through the map looks at the file right before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from crossrank._files.parsing import map_npy
from crossrank.errors import StoreError

Stamp = tuple[int, int, int]

MOST_READ = 1 << 26
"""A slice of more bytes stays mapped."""
CHUNK = 1 << 24


class StoredArray(np.memmap[Any, np.dtype[Any]]):
    """A memory-mapped file that is never trusted to be what it was when it was opened.

    Rows that are asked for by index are read into memory, up to `MOST_READ`.  Everything else that
    numpy computes from the array looks at the file first, and so does `checked` for what numpy
    tells nobody of: ``np.asarray``.
    """

    stamp: Stamp | None = None
    path: Path | None = None
    whole: int = 0
    """How many bytes the array had when it was opened: a part has fewer."""

    def __array_finalize__(self, whole: Any) -> None:
        super().__array_finalize__(whole)
        # a copy, or what was computed from the array, is no longer the file
        mapped = getattr(self, "_mmap", None) is not None
        self.stamp = getattr(whole, "stamp", None) if mapped else None
        self.path = getattr(whole, "path", None) if mapped else None
        self.whole = getattr(whole, "whole", 0) if mapped else 0

    @classmethod
    def open(cls, path: Path) -> StoredArray:
        """Map a ``.npy`` file, see `map_npy`."""
        before = stamp(path)
        array: StoredArray = map_npy(path).view(cls)
        array.stamp, array.path, array.whole = before, path, array.nbytes
        return array

    @classmethod
    def part_of(
        cls, path: Path, dtype: DTypeLike, shape: tuple[int, ...], offset: int
    ) -> StoredArray:
        """Map an array that lies somewhere in a file, read-only.

        Parameters
        ----------
        path, offset
            Which file, and where in it the array begins, in bytes.
        dtype, shape
            The array's.

        Raises
        ------
        ValueError, OSError
            If the file is shorter, or cannot be opened.
        """
        before = stamp(path)
        array = cls(path, dtype=np.dtype(dtype), mode="r", shape=shape, offset=offset)
        array.stamp, array.path, array.whole = before, path, array.nbytes
        return array

    def __getitem__(self, key: Any) -> Any:
        rows = _rows(key, len(self), self.nbytes) if is_stored(self) else None
        if rows is None:
            checked(self)
            return super().__getitem__(key)
        taken = take_spans(self, *rows)
        return taken[0] if isinstance(key, int | np.integer) else taken

    def take(self, *arguments: Any, **options: Any) -> Any:
        """As of any array, see `np.take`."""
        return checked(self).take(*arguments, **options)

    def tobytes(self, *arguments: Any, **options: Any) -> bytes:
        """As of any array."""
        return checked(self).tobytes(*arguments, **options)

    def astype(self, *arguments: Any, **options: Any) -> Any:
        """As of any array."""
        return checked(self).astype(*arguments, **options)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*(_plain(each) for each in inputs), **options)

    def __array_function__(
        self, function: Any, types: Any, arguments: Any, options: Mapping[str, Any]
    ) -> Any:
        plain = {name: _plain(each) for name, each in options.items()}
        return function(*(_plain(each) for each in arguments), **plain)


def _plain(value: Any) -> Any:
    if isinstance(value, StoredArray):
        return checked(value)
    if type(value) in (list, tuple):
        return type(value)(_plain(each) for each in value)
    return value


def checked(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as numpy's own; a `StoreError` if it is a file that was changed meanwhile."""
    if not isinstance(array, StoredArray):
        return array
    if array.path is not None:
        try:
            unchanged = stamp(array.path) == array.stamp
        except OSError:
            unchanged = False
        if not unchanged:
            raise _changed(array.path)
    return array.view(np.ndarray)


def is_stored(array: NDArray[Any]) -> bool:
    """Return whether an array is a whole file, or the whole part of one that was mapped."""
    return (
        hasattr(os, "preadv")  # elsewhere rows are taken through the map
        and isinstance(array, StoredArray)
        and array.path is not None
        and array.stamp is not None
        and array.flags.c_contiguous
        and array.nbytes == array.whole > 0
    )


def _rows(key: Any, count: int, nbytes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return the spans of rows that an index asks for, None if they are no few whole rows."""
    row = nbytes // count
    if isinstance(key, slice):
        start, stop, step = key.indices(count)
        places = np.arange(start, stop, step)
        if len(places) == count or len(places) * row > MOST_READ:
            return None
        if step == 1:
            return np.array([start]), np.array([len(places)])
        return places, np.ones(len(places), np.int64)
    if isinstance(key, list | np.ndarray):
        index = np.asarray(key)
        if index.dtype == np.bool_ and index.shape == (count,):
            index = np.flatnonzero(index)
        if index.dtype.kind not in "iu" or index.ndim != 1 or index.size * row > MOST_READ:
            return None
    elif isinstance(key, int | np.integer) and not isinstance(key, bool):
        index = np.array([key])
    else:
        return None
    if index.size and not -count <= index.min() <= index.max() < count:
        return None
    index = index.astype(np.int64)
    return np.where(index < 0, index + count, index), np.ones(len(index), np.int64)


def chunks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the rows of an array, one part after the other, as memory has room for."""
    if array.ndim == 0 or not array.nbytes:
        yield array
        return
    step = max(1, CHUNK * len(array) // array.nbytes)
    for start in range(0, len(array), step):
        yield array[start : start + step]


def take_rows(array: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return a copy of some rows, see `take_spans`."""
    return take_spans(array, rows, np.ones(len(rows), np.int64))


def take_spans(
    array: NDArray[Any], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[Any]:
    """Return a copy of some spans of rows ``[R, ...]``, one after the other; see `checked`.

    `starts` and `lengths` ``[M]`` say where each begins and how many rows it has.
    """
    ends = np.cumsum(lengths)
    if not is_stored(array):
        rows = np.arange(int(lengths.sum())) + np.repeat(starts - (ends - lengths), lengths)
        taken: NDArray[Any] = np.take(checked(array), rows, axis=0)
        return taken
    if len(starts) and (starts.min() < 0 or int((starts + lengths).max()) > len(array)):
        raise IndexError(f"rows outside an array of {len(array)}")
    read = np.empty((int(lengths.sum()), *array.shape[1:]), array.dtype)
    if not len(starts):
        return read
    # spans that lie side by side, in this order, are read at once
    first = np.flatnonzero(np.append(True, starts[1:] != starts[:-1] + lengths[:-1]))
    _read(array, read, starts[first], np.add.reduceat(lengths, first))
    return read


def stamp(path: Path) -> Stamp:
    """Return what changes when a file is written to: its size, its time and which file it is."""
    state = path.stat()
    return state.st_size, state.st_mtime_ns, state.st_ino


def _read(
    array: Any, into: NDArray[Any], starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> None:
    row = array.nbytes // len(array)
    buffer = into.reshape(-1).view(np.uint8).data
    try:
        file = os.open(array.path, os.O_RDONLY)
    except OSError as error:
        raise _changed(array.path) from error
    try:
        state = os.fstat(file)
        if (state.st_size, state.st_mtime_ns, state.st_ino) != array.stamp:
            raise _changed(array.path)
        places = (array.offset + starts * row).tolist()
        ends = (np.cumsum(counts) * row).tolist()
        at, read = 0, os.preadv
        for place, end in zip(places, ends, strict=True):
            got = read(file, [buffer[at:end]], place)
            while at + got < end:  # seldom more than once
                if not got:
                    raise _changed(array.path)
                at, place = at + got, place + got
                got = read(file, [buffer[at:end]], place)
            at = end
    finally:
        os.close(file)


def _changed(path: Path) -> StoreError:
    return StoreError(
        f"{path} was changed or removed while it was in use; open it again, or make it again if "
        "it cannot be opened, and rerank"
    )
