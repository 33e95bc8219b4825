"""Queries of several parts (image + text, a dialogue): the features of the parts, put together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossrank._items.arrays import unit
from crossrank._items.collection import Collection
from crossrank._items.feature import Feature
from crossrank._items.ragged import Ragged
from crossrank.errors import InputError


def compose(
    parts: Sequence[tuple[Collection, int]], owners: Sequence[Sequence[int]], ids: Sequence[str]
) -> Collection:
    """Join the features of parts, each a row of a collection, into one item each.

    Ragged features and lists are strung together; unit embeddings are averaged and scaled back to
    unit length; texts are joined by a blank.  Features that not all parts have are left out.  Per
    item, `owners` has the numbers of its parts.
    """
    kinds = {kind for collection, _ in parts for kind in collection.modality.split("+")}
    shared = [
        name for name in parts[0][0].features if all(name in collection for collection, _ in parts)
    ]
    features = {
        name: _joined(name, [[_entry(parts[part], name) for part in own] for own in owners])
        for name in shared
    }
    return Collection(ids, "+".join(sorted(kinds)), encoder=parts[0][0].encoder, **features)


def _entry(part: tuple[Collection, int], name: str) -> object:
    collection, row = part
    return collection[name][row]


def _joined(name: str, entries: list[list[object]]) -> Feature:
    first = entries[0][0]
    if isinstance(first, str):
        return tuple(" ".join(str(entry) for entry in own) for own in entries)
    if isinstance(first, np.ndarray) and name != "embedding":
        return Ragged.from_list([np.concatenate([np.asarray(e) for e in own]) for own in entries])
    if isinstance(first, np.ndarray):
        means = np.stack([np.mean([np.asarray(entry) for entry in own], axis=0) for own in entries])
        return unit(means).astype(np.float32)
    if isinstance(first, list | tuple):
        return tuple([value for entry in own for value in _as_list(entry)] for own in entries)
    raise InputError(f"the feature {name!r} of several parts cannot be put together")


def _as_list(entry: object) -> list[object]:
    return list(entry) if isinstance(entry, list | tuple) else [entry]
