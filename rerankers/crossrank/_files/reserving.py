"""Arrays in files whose bytes are taken before they are mapped.

A full disk is then an error.  In a map of a file with holes it kills the process, with SIGBUS.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def reserve(file: IO[bytes], size: int) -> None:
    """Take the bytes of a file now; an `OSError` if the disk has not as many."""
    file.flush()
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        # holes are not taken: zeros are
        file.seek(0, os.SEEK_END)
        while (missing := size - file.tell()) > 0:
            file.write(bytes(min(missing, 1 << 20)))
        file.flush()


def new_npy(file: IO[bytes], dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Write the head of a ``.npy`` file and return its array, of zeros, to be written through.

    The file is empty, open for reading and writing; the array has at least one number.
    """
    kind = np.dtype(dtype)
    head = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, head)
    start = file.tell()
    reserve(file, start + kind.itemsize * int(np.prod(shape)))
    return np.memmap(file, dtype=kind, mode="r+", offset=start, shape=shape)


def new_npy_at(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Make a ``.npy`` file, see `new_npy`."""
    with path.open("w+b") as file:
        return new_npy(file, dtype, shape)
