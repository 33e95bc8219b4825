"""Encoded items, kept by content within a budget: what was used last stays longest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

Features = Mapping[str, Any]

OVERHEAD = 512
"""Bytes that an entry costs besides its arrays."""


class FeatureCache:
    """A mapping from content to features that forgets what was not used for longest.

    Parameters
    ----------
    budget
        Bytes; 0 keeps nothing.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = 0
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[bytes, tuple[Features, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> Features | None:
        """Return what is kept, None where nothing is."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: bytes, features: Features) -> None:
        """Keep an entry and forget old ones until the budget is kept."""
        size = OVERHEAD + sum(_bytes(value) for value in features.values())
        if size > self.budget:
            return
        with self._lock:
            old = self._entries.pop(key, None)
            self.used += size - (0 if old is None else old[1])
            self._entries[key] = features, size
            while self.used > self.budget:
                _, (_, freed) = self._entries.popitem(last=False)
                self.used -= freed


def _bytes(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, str):
        return 56 + 4 * len(value)
    if isinstance(value, list | tuple):
        return 64 + sum(_bytes(each) for each in value)
    return 64
