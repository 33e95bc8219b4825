"""Features: a column of a collection, whatever it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossrank._files.json_lines import JsonLines
from crossrank._files.npy_rows import checked, is_stored, take_rows
from crossrank._items.arrays import has_members, to_numpy, unit
from crossrank._items.compact import Compact
from crossrank._items.ragged import Ragged
from crossrank.errors import InputError

Feature: TypeAlias = NDArray[Any] | Ragged | Sequence[Any]
"""One entry per item: an array ``[N, ...]``, ragged rows, or values that JSON can hold."""

ROWS = frozenset({"tokens", "token_boxes", "regions", "boxes", "words"})
"""Features of which an item has several rows."""

UNIT = frozenset({"embedding", "tokens"})
"""Features whose rows are promised to have unit length."""


def as_feature(name: str, value: Any, count: int) -> Feature:
    """Return what was given for some ids as a feature of them, with one entry per id."""
    value = to_numpy(value)
    if name in ROWS:
        value = _as_rows(value)
    if not isinstance(value, Ragged | JsonLines) and not has_members(value):
        raise InputError(
            f"Collection: feature {name!r} is a scalar, {value!r:.60}; give one entry per id, in "
            "the order of the ids"
        )
    feature: Feature
    if isinstance(value, Ragged | np.ndarray | JsonLines):
        feature = value
    else:
        feature = np.asarray(value) if _is_numeric(value) else tuple(value)
    if isinstance(feature, np.ndarray) and feature.dtype.kind in "OUS":
        feature = tuple(feature.tolist())
    if len(feature) != count:
        raise InputError(
            f"Collection: feature {name!r} has {len(feature)} entries for {count} ids; "
            "give one per id, in the order of the ids"
        )
    return feature


def _as_rows(value: Any) -> Any:
    """Return rows per item as `Ragged`: those of an array ``[N, L, D]`` or of a list of arrays."""
    if isinstance(value, np.ndarray) and value.ndim == 3:
        return Ragged(value.reshape(-1, value.shape[2]), np.full(len(value), value.shape[1]))
    if isinstance(value, list | tuple) and value:
        parts = [to_numpy(each) for each in value]
        if all(isinstance(each, np.ndarray) and each.ndim == 2 for each in parts):
            return Ragged.from_list(parts)
    return value


def _is_numeric(value: Any) -> bool:
    """Tell rows of numbers, which become an array, from values such as str, lists and records."""
    if not isinstance(value, Sequence):
        return True
    if value and isinstance(value[0], str):
        return False
    try:
        first = np.asarray(value[:1])
    except ValueError:
        return False
    return first.size > 0 and first.dtype.kind in "fiub"


def take_items(feature: Feature, rows: NDArray[np.int64]) -> Feature:
    """Return a copy of some items."""
    if isinstance(feature, Ragged):
        return feature.take(rows)
    if isinstance(feature, np.ndarray):
        return take_rows(feature, rows)
    return tuple(feature[row] for row in rows)


def check_unchanged(feature: Feature) -> None:
    """Refuse a feature whose file was changed: a map of a shorter one kills the process."""
    rows: Any = feature.flat if isinstance(feature, Ragged) else feature
    checked(rows.codes if isinstance(rows, Compact) else rows)


def is_stored_feature(feature: Feature) -> bool:
    """Return whether a feature lies on disk, or has to be decoded."""
    rows: Any = feature.flat if isinstance(feature, Ragged) else feature
    return isinstance(rows, Compact) or (isinstance(rows, np.ndarray) and is_stored(rows))


def read_only(feature: Feature) -> Feature:
    """Return a view that refuses to be written to."""
    if isinstance(feature, Ragged):
        return feature.with_arrays(read_only(feature.flat), read_only(feature.lengths))
    if isinstance(feature, np.ndarray):
        view = feature.view()
        view.flags.writeable = False
        return view
    return feature


def unit_rows(feature: Feature) -> Feature:
    """Return a copy in float32 whose rows have unit length; those of zeros stay."""
    if isinstance(feature, Ragged):
        whole = feature.take(np.arange(len(feature)))
        return Ragged(unit(np.asarray(whole.flat, np.float32)), whole.lengths)
    return unit(np.asarray(feature, np.float32))


def same_feature(left: Feature, right: Feature) -> bool:
    """Tell whether two features hold the same."""
    if isinstance(left, Ragged) or isinstance(right, Ragged):
        return isinstance(left, Ragged) and isinstance(right, Ragged) and left == right
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return np.array_equal(np.asarray(left), np.asarray(right))
    return bool(json_like(left) == json_like(right))


def json_like(value: Any) -> Any:
    """Return a value as JSON would give it back: tuples as lists, numpy scalars as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): json_like(member) for key, member in value.items()}
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return [json_like(member) for member in value]
    return value
