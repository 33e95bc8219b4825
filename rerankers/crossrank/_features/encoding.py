"""Encoding through the cache: only what is not known is encoded, and pictures not even opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version

from crossrank._encode.brought import CARRIED, carried_features
from crossrank._encode.call import encode
from crossrank._engine.identity import source_digest
from crossrank._features.cache import FeatureCache
from crossrank._features.contents import content_keys
from crossrank._features.entry import Entry, columns
from crossrank._items.collection import Collection
from crossrank._items.item import Item
from crossrank.plugin.contract import Encoder, Progress


@dataclass(frozen=True, slots=True)
class KeptEncoder:
    """An encoder with a cache before it.

    Parameters
    ----------
    encoder
        What encodes.
    cache
        None to encode everything.
    maker
        By what the encoder is recognised in the cache; None to encode everything.
    name
        What collections remember of it.
    threads
        Threads while encoding, see `crossrank.encode`.
    """

    encoder: Encoder
    cache: FeatureCache | None
    maker: str | None
    name: str
    threads: int | None = None

    @classmethod
    def of(
        cls, encoder: Encoder, cache: FeatureCache | None, threads: int | None = None
    ) -> KeptEncoder:
        """Return an encoder with its cache; one whose source cannot be read does without."""
        kind, digest = type(encoder), encoder.fingerprint()
        source = None if cache is None else _source(kind)
        place = f"{kind.__module__}:{kind.__qualname__}"
        maker = None if source is None else f"{_version()} {place} {source} {digest}"
        return cls(encoder, cache, maker, f"{encoder.info.name}:{digest[:16]}", threads)

    def encode(
        self,
        items: Sequence[Item],
        modality: str,
        features: Sequence[str],
        progress: Progress | bool | None = None,
        ids: Sequence[str] | None = None,
    ) -> Collection:
        """Return what `crossrank.encode` returns, from the cache as far as it goes.

        Items that bring features along are not kept.

        Parameters
        ----------
        items, modality, features, progress
            See `crossrank.encode`.
        ids
            What the items are called, in place of their own ids.
        """
        if ids is None:
            ids = [str(row) if item.id is None else item.id for row, item in enumerate(items)]
        names = tuple(dict.fromkeys(name for name in features if name not in CARRIED))
        keys = self._keys(items, modality) if names else None
        if keys is None or self.cache is None:
            return self._encode(items, modality, features, progress, ids)
        on_disk = "image" in modality
        known = self.cache.find(keys, names, on_disk)
        entries = [entry for entry in known if entry is not None]
        if len(entries) < len(keys):
            entries = self._completed(known, keys, items, modality, names, progress, ids)
        try:
            found = (
                columns(entries, names)
                if None in keys or not on_disk
                else self.cache.columns(tuple(keys), entries, names)
            )
        except ValueError:  # kept from an encoder of the same source that gave another shape
            return self._encode(items, modality, features, progress, ids)
        carried = carried_features(items, modality)
        return Collection(ids, modality, encoder=self.name, **found, **carried)

    def _completed(
        self,
        known: Sequence[Entry | None],
        keys: Sequence[str | None],
        items: Sequence[Item],
        modality: str,
        names: Sequence[str],
        progress: Progress | bool | None,
        ids: Sequence[str],
    ) -> list[Entry]:
        """Return an entry per item: those that are known, and the others, encoded and kept."""
        # what has no key is a picture that cannot be read: encode says why
        places = [row if key is None else key for row, key in enumerate(keys)]
        missing: dict[str | int, int] = {}
        for row, entry in enumerate(known):
            if entry is None:
                missing.setdefault(places[row], row)
        todo = [items[row] for row in missing.values()]
        made = self._encode(todo, modality, names, progress, [ids[row] for row in missing.values()])
        new = {place: Entry.of(made, row, names) for row, place in enumerate(missing)}
        about = {"encoder": self.encoder.info.name, "modality": modality}
        for key, still in zip(missing, self._keys_of(todo, modality), strict=True):
            # a file that was written to meanwhile was encoded as nobody knows what
            if key == still and self.cache is not None:
                self.cache.put(still, new[key], about, "image" in modality)
        return [
            new[place] if entry is None else entry
            for place, entry in zip(places, known, strict=True)
        ]

    def to_encode(self, items: Sequence[Item], modality: str, features: Sequence[str]) -> list[int]:
        """Return which items `encode` would not find in the cache."""
        keys = self._keys(items, modality)
        if keys is None or self.cache is None:
            return list(range(len(items)))
        names = [name for name in features if name not in CARRIED]
        return [
            row
            for row, key in enumerate(keys)
            if key is None or self.cache.get(key, names, "image" in modality) is None
        ]

    def _encode(
        self,
        items: Sequence[Item],
        modality: str,
        features: Sequence[str],
        progress: Progress | bool | None,
        ids: Sequence[str],
    ) -> Collection:
        named = [
            item if item.id == id else Item(id, item.text, item.image, **item.features)
            for item, id in zip(items, ids, strict=True)
        ]
        return encode(
            self.encoder, named, modality, features, threads=self.threads, progress=progress
        )

    def _keys(self, items: Sequence[Item], modality: str) -> list[str | None] | None:
        """Return the keys of items; None for all where nothing is kept."""
        if self.maker is None or any(item.features for item in items):
            return None
        return self._keys_of(items, modality)

    def _keys_of(self, items: Sequence[Item], modality: str) -> list[str | None]:
        return content_keys(f"{self.maker} {modality}", items)


@lru_cache
def _version() -> str:
    return version("crossrank")


_source = lru_cache(maxsize=64)(source_digest)
