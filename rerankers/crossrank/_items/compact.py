"""Rows of numbers that lie on disk in fewer bytes, and are float32 to whoever reads them.

========== ===================================== ==============================================
stored as  a row of D numbers takes              and is off by at most
========== ===================================== ==============================================
float16    2 D bytes, read as float16            2^-11 of each number, 2^-25 for tiny ones
bfloat16   2 D bytes: the upper half of float32  2^-8 of each number
int8       D + 4 bytes: 127ths of its largest    1/254 of the row's largest number
           number, and this as float32
========== ===================================== ==============================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from crossrank._files.npy_rows import take_spans
from crossrank._files.reserving import new_npy_at
from crossrank._items.fingerprint import fingerprint
from crossrank.errors import InputError

COMPACT = ("bfloat16", "int8")
DTYPES = ("float32", "float16", *COMPACT)
STEPS = 127
SCALE_BYTES = 4
CHUNK = 1 << 12
"""Rows that are converted together: what they become should still be in a cache."""


class Compact:
    """A matrix whose rows are decoded where they are read.

    Codes are ``[R, D]`` uint16 for ``"bfloat16"`` and ``[R, D + 4]`` for ``"int8"``; they may be
    memory-mapped.
    """

    __slots__ = ("codes", "stored_as")

    dtype: np.dtype[Any] = np.dtype(np.float32)
    ndim = 2

    def __init__(self, codes: NDArray[Any], stored_as: str) -> None:
        expected = {"bfloat16": np.uint16, "int8": np.int8}[stored_as]
        narrow = stored_as == "int8" and codes.shape[-1] < SCALE_BYTES
        if codes.ndim != 2 or codes.dtype != expected or narrow:
            raise ValueError(f"{codes.dtype} of shape {codes.shape} are no rows of {stored_as}")
        self.codes, self.stored_as = codes, stored_as

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns it decodes to."""
        rows, width = self.codes.shape
        return rows, width - SCALE_BYTES if self.stored_as == "int8" else width

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        """Return some rows, by slice, mask or numbers; or one of them, by its number."""
        codes = np.asarray(self.codes[rows])
        floats = decoded(codes.reshape(-1, codes.shape[-1]), self.stored_as)
        return floats.reshape(*codes.shape[:-1], self.shape[1])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all rows."""
        if copy is False:
            raise ValueError("rows that are decoded cannot be had without a copy")
        return self[:].astype(np.float32 if dtype is None else dtype, copy=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return Compact, (np.array(self.codes), self.stored_as)

    def spans(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return some spans of rows, see `crossrank._files.npy_rows.take_spans`."""
        return decoded(take_spans(self.codes, starts, lengths), self.stored_as)

    def fingerprint(self) -> str:
        """Return a digest of the rows as they are stored."""
        return fingerprint([self.stored_as, self.codes])


def decoded(codes: NDArray[Any], stored_as: str) -> NDArray[np.float32]:
    """Return ``[R, D]`` what codes stand for."""
    if stored_as == "bfloat16":
        bits = np.left_shift(codes, np.uint32(16), dtype=np.uint32)
        wide: NDArray[np.float32] = bits.view(np.float32)
        return wide
    width = codes.shape[1] - SCALE_BYTES
    scales = np.ascontiguousarray(codes[:, width:]).view(np.float32)
    floats = np.empty((len(codes), width), np.float32)
    for start in range(0, len(codes), CHUNK):
        part = slice(start, start + CHUNK)
        np.multiply(codes[part, :width], scales[part], out=floats[part])
    return floats


def to_bfloat16(rows: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return ``[R, D]`` the upper halves of numbers, rounded to the nearest, ties to even."""
    bits = rows.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    # in float32, the next step of bfloat16 is one carry away
    return ((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)).astype(np.uint16)


def to_int8(rows: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return ``[R, D + 4]`` the steps of each number and, as bytes, how large a step is."""
    scales = np.abs(rows).max(axis=1, keepdims=True, initial=0) / np.float32(STEPS)
    steps = np.divide(rows, scales, out=np.zeros_like(rows), where=scales > 0)
    # a step so small that it has lost its precision
    steps = np.clip(np.rint(steps), -STEPS, STEPS).astype(np.int8)
    return np.concatenate([steps, np.ascontiguousarray(scales).view(np.int8)], axis=1)


ENCODERS: dict[str, Callable[[NDArray[np.float32]], NDArray[Any]]] = {
    "float32": lambda rows: rows,
    "float16": lambda rows: rows.astype(np.float16),
    "bfloat16": to_bfloat16,
    "int8": to_int8,
}


def check_dtypes(dtypes: Mapping[str, str]) -> None:
    """Refuse types that there are not, naming the feature."""
    for name, stored_as in dtypes.items():
        if not isinstance(stored_as, str) or stored_as not in DTYPES:
            raise InputError(
                f"{name!r} cannot be stored as {stored_as!r:.80}; give one of {', '.join(DTYPES)}"
            )


def write_rows(path: Path, name: str, parts: Sequence[Any], stored_as: str) -> None:
    """Write arrays of floats, end to end, to a ``.npy`` file as one of `DTYPES`.

    Parts are ``[R, ...]``, for bfloat16 and int8 ``[R, D]``; those of another kind, and numbers
    that the type cannot hold, are refused under the name of the feature.
    """
    check_dtypes({name: stored_as})
    first, count = parts[0], sum(len(part) for part in parts)
    if first.dtype.kind != "f" or (stored_as in COMPACT and first.ndim != 2):
        raise InputError(
            f"{name!r} is {first.dtype} of shape {first.shape}; only floats can be stored as "
            f"{stored_as}, and only rows of them as bfloat16 or int8"
        )
    empty = ENCODERS[stored_as](np.zeros((0, *first.shape[1:]), np.float32))
    if not count:
        np.save(path, empty, allow_pickle=False)
        return
    file: Any = new_npy_at(path, empty.dtype, (count, *empty.shape[1:]))
    at = 0
    for part in parts:
        for start in range(0, len(part), CHUNK):
            codes = _codes(name, part[start : start + CHUNK], stored_as)
            file[at : at + len(codes)] = codes
            at += len(codes)
    file.flush()


def _codes(name: str, rows: Any, stored_as: str) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        exact = np.ascontiguousarray(rows, np.float32)
        if np.isfinite(exact).all():
            codes = ENCODERS[stored_as](exact)
            if np.isfinite(decoded(codes, stored_as) if stored_as in COMPACT else codes).all():
                return codes
    raise InputError(
        f"{name!r} holds numbers that {stored_as} cannot; give finite ones, or another type"
    )
