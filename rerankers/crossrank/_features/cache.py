"""The cache of features: what was used last in memory, behind it the disk."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from crossrank._engine.resources import quarter_of_memory
from crossrank._features.entry import Entry, columns
from crossrank._features.store import FeatureStore
from crossrank._files.user_cache import user_cache
from crossrank._items.feature import Feature, read_only
from crossrank.errors import InputError

Names: TypeAlias = tuple[tuple[str, ...], tuple[str | None, ...]]
"""Features and keys."""

IN_MEMORY = 1 << 30
ON_DISK = 4 << 30
"""Bytes that are kept at most."""
SHARE_OF_LIST = 4
"""At most this part of the memory besides holds a list as a whole."""


class FeatureCache:
    """Features of items by a key of encoder and content.

    Parameters
    ----------
    store
        What lies behind the memory; None for nothing.
    limit
        Bytes in memory.
    """

    def __init__(self, store: FeatureStore | None, limit: int) -> None:
        self.store = store
        self.limit = limit
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0
        self._last: tuple[Names, Mapping[str, Feature] | None] = (((), ()), None)
        self._lock = threading.Lock()

    def get(self, key: str, names: Iterable[str], on_disk: bool) -> Entry | None:
        """Return an entry that has some features, None if there is none.

        Parameters
        ----------
        key
            Of encoder and content.
        names
            The features.
        on_disk
            Whether it may be there.
        """
        wanted = set(names)
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and entry.kinds.keys() >= wanted:
                self._entries.move_to_end(key)
                return entry
        if self.store is None or not on_disk:
            return None
        stored = self.store.get(key)
        if stored is None or not stored.kinds.keys() >= wanted:
            return None
        self._keep(key, stored)
        return stored

    def find(
        self, keys: Sequence[str | None], names: Iterable[str], on_disk: bool
    ) -> list[Entry | None]:
        """Return the entries of keys, see `get`; None for one that is not there, and for no key."""
        wanted = set(names)
        with self._lock:
            found = [None if key is None else self._entries.get(key) for key in keys]
            # which was used last matters only where room gets scarce
            if 2 * self._bytes > self.limit:
                for key, entry in zip(keys, found, strict=True):
                    if key is not None and entry is not None:
                        self._entries.move_to_end(key)
        return [
            entry
            if key is None or (entry is not None and wanted <= entry.kinds.keys())
            else self.get(key, wanted, on_disk)
            for key, entry in zip(keys, found, strict=True)
        ]

    def put(self, key: str, entry: Entry, about: Mapping[str, str], on_disk: bool) -> None:
        """Keep an entry, with what is known already of the same item."""
        whole = self._keep(key, entry)
        if self.store is not None and on_disk:
            self.store.put(key, about, whole)

    def columns(
        self, keys: tuple[str | None, ...], entries: Sequence[Entry], names: tuple[str, ...]
    ) -> Mapping[str, Feature]:
        """Return the features of several items, read-only.

        Those of a list that comes twice in a row are kept until another one comes.

        Parameters
        ----------
        keys
            Of the entries.
        entries, names
            See `crossrank._features.entry.columns`.

        Raises
        ------
        ValueError
            If they are not of one kind and shape.
        """
        place = names, keys
        last, kept = self._last
        again = last == place
        if again and kept is not None:
            return kept
        # of a list that comes once, so that its memory is free for the next one's
        self._last = place, None
        found = {name: read_only(value) for name, value in columns(entries, names).items()}
        if again and sum(entry.size for entry in entries) <= self.limit // SHARE_OF_LIST:
            self._last = place, found
        return found

    def _keep(self, key: str, entry: Entry) -> Entry:
        with self._lock:
            before = self._entries.pop(key, None)
            if before is not None:
                self._bytes -= before.size
                entry = before.merged(entry)
            self._entries[key] = entry
            self._bytes += entry.size
            while self._bytes > self.limit and self._entries:
                self._bytes -= self._entries.popitem(last=False)[1].size
        return entry


_caches: dict[str | Path | None, FeatureCache] = {}
_lock = threading.Lock()


def feature_cache(wish: bool | str | Path) -> FeatureCache | None:
    """Return the process's cache that a caller asks for.

    Parameters
    ----------
    wish
        True for that of the user, a folder for one there, False for none.

    Raises
    ------
    InputError
        For anything else.
    """
    if wish is False:
        return None
    if wish is not True and not (isinstance(wish, Path) or (isinstance(wish, str) and wish)):
        raise InputError(f"rerank: cache is {wish!r:.80}; give True, False or a folder")
    if wish is not True and (known := _caches.get(wish)) is not None:
        return known
    folder: Path | None
    try:
        folder = user_cache("features") if wish is True else Path(wish)
    except RuntimeError:  # a user without a home
        folder = None
    with _lock:
        if folder not in _caches:
            store = None if folder is None else FeatureStore(folder, ON_DISK)
            _caches[folder] = FeatureCache(store, min(IN_MEMORY, quarter_of_memory()))
        if wish is not True:
            _caches[wish] = _caches[folder]
        return _caches[folder]
