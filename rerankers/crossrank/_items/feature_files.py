"""One feature in the folder of a collection: written, and opened without being read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._files.json_lines import JsonLines, json_line
from crossrank._files.npy_rows import StoredArray
from crossrank._items.compact import COMPACT, Compact, write_rows
from crossrank._items.feature import Feature, json_like
from crossrank._items.ragged import Ragged
from crossrank.errors import InputError, StoreError


def write_feature(
    folder: Path, name: str, feature: Feature, dtype: str | None = None, stem: str = ""
) -> str:
    """Write one feature into a folder and return its kind: ``array``, ``ragged`` or ``json``.

    `dtype` is as what to store floats; names of files begin with `stem`, by default with `name`.
    """
    stem = stem if stem else name
    if not name.isidentifier():
        raise StoreError(f"a feature called {name!r} cannot be stored; use letters and digits")
    if isinstance(feature, Ragged):
        np.save(folder / f"{stem}.lengths.npy", feature.lengths, allow_pickle=False)
        stored_as = _write_array(folder / f"{stem}.npy", name, feature.flat, dtype)
        return f"ragged {stored_as}".rstrip()
    if dtype is not None and (dtype in COMPACT or not isinstance(feature, np.ndarray)):
        raise InputError(
            f"{name!r} cannot be stored as {dtype!r}: it is no Ragged of floats; leave it out"
        )
    if isinstance(feature, np.ndarray):
        _write_array(folder / f"{stem}.npy", name, feature, dtype)
        return "array"
    with (folder / f"{stem}.jsonl").open("w", encoding="utf-8", newline="\n") as lines:
        lines.writelines(json_line(json_like(value)) for value in feature)
    return "json"


def _write_array(path: Path, name: str, array: Any, dtype: str | None) -> str:
    """Write rows, and return as what codes they are stored; nothing for numbers as they are."""
    if dtype is not None:
        write_rows(path, name, [array], dtype)
        return dtype if dtype in COMPACT else ""
    codes = array.codes if isinstance(array, Compact) else array
    # rows are read as bytes that follow each other, whatever the order in memory was
    np.save(path, np.ascontiguousarray(codes), allow_pickle=False)
    return array.stored_as if isinstance(array, Compact) else ""


def open_feature(folder: Path, stem: str, name: str, kind: str, count: int) -> Feature:
    """Open one feature of a folder, whose names of files begin with `stem`."""
    if kind == "json":
        return JsonLines(folder / f"{stem}.jsonl", count)
    array = _map(folder / f"{stem}.npy")
    if kind == "array":
        return array
    form, _, stored_as = kind.partition(" ")
    if form == "ragged" and stored_as in ("", *COMPACT):
        flat: Any = array
        if stored_as:
            try:
                flat = Compact(array, stored_as)
            except ValueError as error:
                raise StoreError(f"{folder / stem}.npy: {error}; encode it again") from error
        return Ragged(flat, np.asarray(_map(folder / f"{stem}.lengths.npy")))
    raise StoreError(f"{folder}: the feature {name!r} is of an unknown kind {kind!r}")


def _map(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise StoreError(f"{path.parent} lacks its file {path.name}; encode the collection again")
    try:
        array = StoredArray.open(path)
    except (ValueError, OSError, EOFError) as error:
        if "mmap" in str(error) or path.stat().st_size == 0:
            raise StoreError(f"{path} is empty; encode the collection again") from error
        # numpy goes on about unpickling, which is not what to do
        what = str(error).partition(". ")[0]
        raise StoreError(
            f"{path} is not an array file: {what}; encode the collection again"
        ) from error
    return array
