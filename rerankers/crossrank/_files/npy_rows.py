"""Arrays on disk: mapped for whoever looks at them, read by the row for blocks.

Rows are read with ``preadv`` straight into the array that a block holds, not through the map:
memory is then what blocks hold, whatever the page cache does, and a file that became shorter is
an error instead of a crash.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._files.parsing import map_npy
from crossrank.errors import StoreError

Stamp = tuple[int, int, int]


class StoredArray(np.memmap[Any, np.dtype[Any]]):
    """A memory-mapped array that knows which state of its file it was made from."""

    stamp: Stamp | None = None
    path: Path | None = None

    def __array_finalize__(self, whole: Any) -> None:
        super().__array_finalize__(whole)
        # a copy, or what was computed from the array, is no longer the file
        mapped = getattr(self, "_mmap", None) is not None
        self.stamp = getattr(whole, "stamp", None) if mapped else None
        self.path = getattr(whole, "path", None) if mapped else None

    @classmethod
    def open(cls, path: Path) -> StoredArray:
        """Map a ``.npy`` file.

        Raises
        ------
        ValueError, OSError
            See `map_npy`.
        """
        array: StoredArray = map_npy(path).view(cls)
        array.stamp, array.path = stamp(path), path
        return array


def is_stored(array: NDArray[Any]) -> bool:
    """Return whether an array is a whole file."""
    return (
        hasattr(os, "preadv")  # elsewhere rows are taken through the map
        and isinstance(array, StoredArray)
        and array.path is not None
        and array.stamp is not None
        and array.flags.c_contiguous
        and array.stamp[0] == array.offset + array.nbytes
        and array.nbytes > 0
    )


def take_rows(array: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return a copy of some rows, from the file if the array is one.

    Raises
    ------
    StoreError
        If the file was changed since it was opened.
    """
    return take_spans(array, rows, np.ones(len(rows), np.int64))


def take_spans(
    array: NDArray[Any], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[Any]:
    """Return a copy of some spans of rows, one after the other.

    Parameters
    ----------
    array
        ``[R, ...]``.
    starts, lengths
        ``[M]`` where each span begins and how many rows it has.

    Raises
    ------
    StoreError
        If the file was changed since it was opened.
    """
    ends = np.cumsum(lengths)
    if not is_stored(array):
        rows = np.arange(int(lengths.sum())) + np.repeat(starts - (ends - lengths), lengths)
        taken: NDArray[Any] = np.take(array, rows, axis=0)
        return taken
    if len(starts) and (starts.min() < 0 or int((starts + lengths).max()) > len(array)):
        raise IndexError(f"rows outside an array of {len(array)}")
    found = np.empty((int(lengths.sum()), *array.shape[1:]), array.dtype)
    if not len(starts):
        return found
    # spans that lie side by side, in this order, are read at once
    first = np.flatnonzero(np.append(True, starts[1:] != starts[:-1] + lengths[:-1]))
    _read(array, found, starts[first], np.add.reduceat(lengths, first))
    return found


def stamp(path: Path) -> Stamp:
    """Return what changes when a file is written to: its size, its time and which file it is."""
    state = path.stat()
    return state.st_size, state.st_mtime_ns, state.st_ino


def _read(
    array: Any, found: NDArray[Any], starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> None:
    row = array.nbytes // len(array)
    buffer = found.reshape(-1).view(np.uint8).data
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
        f"{path} was changed or removed while it was in use; encode the collection again and rerank"
    )
