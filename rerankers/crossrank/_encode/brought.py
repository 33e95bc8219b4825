"""What items bring along themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossrank._items.feature import Feature
from crossrank._items.item import Item
from crossrank._items.ragged import Ragged

CARRIED = frozenset({"text", "path"})
"""Features that come from the items themselves."""


def carried_features(items: Sequence[Item], modality: str) -> dict[str, Feature]:
    """Return what is kept of the items themselves: texts and paths."""
    kept: dict[str, Feature] = {}
    if "text" in modality and all(item.text is not None for item in items):
        kept["text"] = tuple(str(item.text) for item in items)
    if "image" in modality and all(isinstance(item.image, Path) for item in items):
        kept["path"] = tuple(str(item.image) for item in items)
    return kept


def gathered(values: Sequence[Any]) -> Feature:
    """Stack what items bring along: vectors to an array, matrices to a ragged one, else values."""
    if all(isinstance(value, np.ndarray) for value in values):
        if values[0].ndim == 2:
            return Ragged.from_list(values)
        return np.stack(values)
    return tuple(values)
