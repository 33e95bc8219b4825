"""A collection as notebooks show it: what it holds, and the first of its items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crossrank._items.ragged import Ragged
from crossrank._items.showing import left_out, table, thumbnail

if TYPE_CHECKING:
    from crossrank._items.collection import Collection

FIRST = 5
"""Items that are shown."""


def collection_html(collection: Collection) -> str:
    """Return the features of a collection and its first items, pictures as thumbnails."""
    features = [(name, *_kind(collection[name])) for name in collection.features]
    made = "" if collection.encoder is None else f", by {collection.encoder}"
    title = f"{len(collection):,} items, {collection.modality}{made}"
    about = table(title, ("feature", "of each item", "type"), features)
    columns = [name for name in ("path", "text") if name in collection]
    shown = range(min(FIRST, len(collection)))
    rows = [
        (row, collection.ids[row], *(_cell(name, collection[name][row]) for name in columns))
        for row in shown
    ]
    more = left_out(len(shown), len(collection), "items")
    heads = ["" if name == "path" else name for name in columns]
    return about + table("the first of them", ("row", "id", *heads), rows, more)


def _kind(feature: Any) -> tuple[str, str]:
    """Return shape and type of what one item has."""
    if isinstance(feature, Ragged):
        few, many = int(feature.lengths.min(initial=0)), int(feature.lengths.max(initial=0))
        count = str(few) if few == many else f"{few} to {many}"
        return " × ".join([count, *map(str, feature.trailing)]), str(feature.dtype)
    if isinstance(feature, np.ndarray):
        return " × ".join(map(str, feature.shape[1:])) or "1", str(feature.dtype)
    return "1", "values"


def _cell(name: str, value: object) -> object:
    return thumbnail(value) if name == "path" else value
