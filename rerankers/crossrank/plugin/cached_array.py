"""A table that `prepare` computes once per gallery: in the cache folder, in memory or in a file.

Every size of gallery is served: what the cache folder holds is memory-mapped, and what has no
folder lies in memory while it is small and in a file without a name when it is not.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from crossrank._files.atomic import atomic_binary, disk_errors
from crossrank._files.parsing import map_npy
from crossrank._files.reserving import new_npy, reserve
from crossrank.errors import StoreError
from crossrank.plugin.contract import Context

SHARE_OF_BUDGET = 4
"""At most this part of the budget is memory that a table takes: the run needs the rest."""

Fill = Callable[[NDArray[Any]], None]


def cached_array(
    name: str,
    context: Context,
    key: str,
    shape: tuple[int, ...],
    fill: Fill,
    dtype: DTypeLike = np.float32,
) -> NDArray[Any]:
    """Return a table, computed unless the cache folder has it.

    Parameters
    ----------
    name
        The plugin's, with which the file's name begins; another table of the same plugin takes
        another, ``"mine-words"``.
    context
        For its cache folder and memory budget.
    key
        A digest of all that decides the table, see `crossrank.fingerprint`.
    shape, dtype
        The table's.
    fill
        Called with the table, which holds zeros, to write every number of it.

    Returns
    -------
    ndarray
        Read-only and memory-mapped if there is a cache folder.  Without one it lies in memory, or,
        if it takes more than a quarter of the budget, in a temporary file that goes with it.

    Raises
    ------
    StoreError
        If the table cannot be written, or not be read back.
    """
    if context.cache_folder is None or 0 in shape:
        table = scratch_array(shape, context.memory_budget // SHARE_OF_BUDGET, dtype)
        fill(table)
        return table
    path = context.cache_folder / f"{name}-{key}.npy"
    kept = _opened(path, shape, dtype)
    if kept is None:
        with disk_errors(path):
            context.cache_folder.mkdir(parents=True, exist_ok=True)
        with atomic_binary(path) as file:
            _write(file, path, shape, np.dtype(dtype), fill)
        kept = _opened(path, shape, dtype)
    if kept is None:
        raise StoreError(f"{name}: {path} cannot be read back; check the cache folder")
    return kept


def scratch_array(
    shape: tuple[int, ...], most_bytes: int, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Return zeros, in memory or, if they take more than `most_bytes`, in a temporary file.

    Raises
    ------
    StoreError
        If the file cannot be written: the disk of temporary files is full.
    """
    kind = np.dtype(dtype)
    size = kind.itemsize * int(np.prod(shape))
    if size <= most_bytes:
        return np.zeros(shape, kind)
    with disk_errors(Path(tempfile.gettempdir())), tempfile.TemporaryFile() as file:
        # the file has no name any more: it goes with the last reference to the array
        reserve(file, size)
        return np.memmap(file, dtype=kind, mode="r+", shape=shape)


def _write(
    file: IO[bytes], path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], fill: Fill
) -> None:
    table: Any = new_npy(file, dtype, shape)
    try:
        fill(table)
    except OSError as error:  # of what is read meanwhile: the table's own disk complains elsewhere
        raise StoreError(f"{path} could not be computed: {error}") from error
    table.flush()


def _opened(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any] | None:
    """Open a table of an earlier run; None if there is none that can be used."""
    if not path.is_file():
        return None
    try:
        table: NDArray[Any] = map_npy(path)
    except (ValueError, OSError):
        return None
    return table if table.shape == shape and table.dtype == np.dtype(dtype) else None


__all__ = ["cached_array", "scratch_array"]
