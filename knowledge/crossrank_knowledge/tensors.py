"""Arrays in one safetensors file: written in one go, memory-mapped when read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from crossrank.errors import StoreError
from crossrank.plugin.files import atomic_bytes, map_part, parse_json

DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8"}


def write_tensors(
    path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named arrays, and a few strings, to a file that appears when it is complete."""
    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    # as bytes: safetensors itself makes files that their owner alone may read
    atomic_bytes(path, save(tensors, metadata=dict(metadata) if metadata is not None else None))


def map_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the arrays of a safetensors file, memory-mapped, and its strings.

    The safetensors package copies into memory; the format itself (8 bytes of header length, a JSON
    header, then raw bytes) maps as it is.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: dict[str, Any] = parse_json(file.read(min(length, size)))
        metadata = header.pop("__metadata__", {})
        entries = {name: _entry(name, value) for name, value in header.items()}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise StoreError(f"{path} is not a safetensors file; write it again") from error
    arrays = {}
    for name, (dtype, shape, begin, end) in entries.items():
        if 8 + length + end > size or end - begin != dtype.itemsize * math.prod(shape):
            raise StoreError(f"{path} is truncated in {name!r}; write it again")
        arrays[name] = _mapped(path, dtype, shape, 8 + length + begin)
    return arrays, metadata


def _entry(name: str, value: Mapping[str, Any]) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    begin, end = value["data_offsets"]
    shape = tuple(value["shape"])
    # JSON of strangers has NaN, true and "3" too
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError(f"{name!r} has a size or place that is none")
    return np.dtype(DTYPES[value["dtype"]]), shape, begin, end


def _mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int) -> NDArray[Any]:
    if 0 in shape:
        return np.zeros(shape, dtype)
    return map_part(path, dtype, shape, offset)
