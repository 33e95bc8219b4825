"""The same collection with its arrays in another form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._items.collection import Collection
from crossrank._items.ragged import Ragged


def numbers_of(feature: Any) -> NDArray[Any] | None:
    """Return the rows of an array, or of all items of a ragged one; None for anything else."""
    rows = feature.flat if isinstance(feature, Ragged) else feature
    return rows if isinstance(rows, np.ndarray) else None


def with_arrays(
    collection: Collection, change: Callable[[NDArray[Any]], NDArray[Any]]
) -> Collection:
    """Return the collection with a function applied to every array, flat parts included."""
    changed: dict[str, Any] = {}
    for name in collection.features:
        feature = collection[name]
        if isinstance(feature, Ragged):
            changed[name] = Ragged(change(feature.flat), feature.lengths)
        elif isinstance(feature, np.ndarray):
            changed[name] = change(feature)
    return collection.with_features(**changed)
