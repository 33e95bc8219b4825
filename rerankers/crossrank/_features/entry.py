"""The features of one item, as they are kept, and as bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from crossrank._items.collection import Collection
from crossrank._items.feature import Feature, json_like
from crossrank._items.ragged import Ragged

DIGEST = 16
ARRAY, RAGGED, JSON = "array", "ragged", "json"
OVERHEAD = 200
"""Bytes that a small value takes in memory, by and large."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The features of one item.

    Parameters
    ----------
    kinds
        Per feature ``"array"``, ``"ragged"`` or ``"json"``.
    values
        Per feature the item's row, its rows, or its value.
    """

    kinds: Mapping[str, str]
    values: Mapping[str, Any]
    size: int = field(init=False, compare=False)
    """Bytes that it takes, by and large."""

    def __post_init__(self) -> None:
        size = sum(
            OVERHEAD + (value.nbytes if isinstance(value, np.ndarray) else 2 * len(repr(value)))
            for value in self.values.values()
        )
        object.__setattr__(self, "size", size)

    @classmethod
    def of(cls, collection: Collection, row: int, names: Sequence[str]) -> Entry:
        """Return a copy of some features of one item of a collection."""
        kinds, values = {}, {}
        for name in names:
            feature = collection[name]
            value = feature[row]
            if isinstance(feature, Ragged | np.ndarray):
                kinds[name] = RAGGED if isinstance(feature, Ragged) else ARRAY
                values[name] = np.array(value)
            else:
                kinds[name], values[name] = JSON, value
        return cls(kinds, values)

    def merged(self, other: Entry) -> Entry:
        """Return both entries' features; of what both have, the other's."""
        return Entry({**self.kinds, **other.kinds}, {**self.values, **other.values})

    def to_bytes(self, key: str, about: Mapping[str, str]) -> bytes:
        """Return a file's content: a digest of the rest, then safetensors."""
        arrays = {
            name: np.asarray(value, order="C")
            for name, value in self.values.items()
            if self.kinds[name] != JSON
        }
        values = {n: json_like(v) for n, v in self.values.items() if self.kinds[n] == JSON}
        metadata = {
            "key": key,
            "about": json.dumps(dict(about)),
            "kinds": json.dumps(dict(self.kinds)),
            "values": json.dumps(values),
        }
        rest = save(arrays, metadata)
        return hashlib.blake2b(rest, digest_size=DIGEST).digest() + rest

    @classmethod
    def from_bytes(cls, content: bytes, key: str) -> Entry | None:
        """Read what `to_bytes` made under a key; None for anything else, and what is damaged."""
        rest = content[DIGEST:]
        if hashlib.blake2b(rest, digest_size=DIGEST).digest() != content[:DIGEST]:
            return None
        try:
            head = head_of(content)
            if head["key"] != key:
                return None
            kinds, arrays = json.loads(head["kinds"]), load(rest)
            # no encoder gives such: it was forged
            if not all(
                each.dtype.kind != "f" or np.isfinite(each).all() for each in arrays.values()
            ):
                return None
            return cls(kinds, {**arrays, **json.loads(head["values"])})
        except (SafetensorError, ValueError, KeyError, TypeError):
            return None


def head_of(content: bytes) -> dict[str, str]:
    """Return the strings in the head of an entry's file.

    Raises
    ------
    ValueError, KeyError, TypeError
        If there are none.
    """
    start = DIGEST + 8
    size = int.from_bytes(content[DIGEST:start], "little")
    found: dict[str, str] = json.loads(content[start : start + size])["__metadata__"]
    return found


def columns(entries: Sequence[Entry], names: Sequence[str]) -> dict[str, Feature]:
    """Return the features of several items as columns of a collection.

    Raises
    ------
    ValueError
        If they are not of one kind and shape.
    """
    found: dict[str, Feature] = {}
    for name in names:
        kinds = {entry.kinds[name] for entry in entries}
        if len(kinds) != 1:
            raise ValueError(f"{name} is of several kinds")
        values = [entry.values[name] for entry in entries]
        (kind,) = kinds
        if kind == RAGGED:
            found[name] = Ragged.from_list(values)
        else:
            found[name] = np.stack(values) if kind == ARRAY else tuple(values)
    return found
