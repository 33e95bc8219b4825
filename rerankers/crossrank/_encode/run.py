"""One run of an encoder over items, batch by batch, shard by shard."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crossrank._encode.items import contents, opened
from crossrank._encode.left import partial_of
from crossrank._files.holding import holding
from crossrank._items.collection import Collection
from crossrank._items.collection_folder import verify_collection
from crossrank._items.feature import Feature
from crossrank._items.fingerprint import fingerprint
from crossrank._items.item import Item
from crossrank._items.joining import columns_of, joined, write_joined
from crossrank._items.ragged import Ragged
from crossrank.errors import (
    CrossrankError,
    PluginError,
    StoreError,
)
from crossrank.plugin.contract import Encoder, Progress
from crossrank.plugin.encoders import maker_name

SHARD_ITEMS = 256

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Run:
    """An encoder at work for one call of `encode`, of whose `total` items `progress` is told."""

    encoder: Encoder
    modality: str
    features: tuple[str, ...]
    batch_size: int
    progress: Progress
    total: int

    def shard(self, items: Sequence[Item], ids: tuple[str, ...], start: int) -> Collection:
        """Encode some items, batch by batch."""
        parts = []
        for first in range(0, len(items), self.batch_size):
            rows = slice(first, first + self.batch_size)
            parts.append(self._batch(items[rows], ids[rows]))
            self.progress(
                f"encode {self.modality}s", min(start + rows.stop, start + len(items)), self.total
            )
        return self._joined(parts, ids, {})

    def in_memory(
        self, items: Sequence[Item], ids: tuple[str, ...], given: Mapping[str, Feature]
    ) -> Collection:
        """Encode everything, and add what the items bring along."""
        rows = shard_rows(len(items), self.batch_size)
        parts = [self.shard(items[each], ids[each], each.start) for each in rows]
        return self._joined(parts, ids, given)

    def to_folder(
        self,
        items: Sequence[Item],
        ids: tuple[str, ...],
        given: Mapping[str, Feature],
        out: Path,
        dtypes: Mapping[str, str],
    ) -> Collection:
        """Encode shard by shard into ``<out>.partial``, then put them together."""
        of = fingerprint(contents(items))
        with self.shards(out, items, ids) as parts:
            maker = maker_name(self.encoder)
            write_joined(out, self.modality, maker, ids, columns_of(parts), given, dtypes, of)
        return Collection.open(out)

    @contextmanager
    def shards(
        self, out: Path, items: Sequence[Item], ids: tuple[str, ...]
    ) -> Iterator[list[Collection]]:
        """Encode shard by shard into ``<out>.partial``, which goes when all is well."""
        partial = partial_of(out)
        try:
            partial.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{partial} could not be made: {error}") from error
        with holding(partial) as held:
            if held is False:
                raise StoreError(
                    f"{out} is being encoded by another process; wait for it, which will leave "
                    "the whole collection there, or choose another folder"
                )
            try:
                parts = self._shards_in(partial, items, ids)
            finally:
                if not any(partial.iterdir()):
                    partial.rmdir()
            yield parts
            shutil.rmtree(partial, ignore_errors=True)

    def _shards_in(
        self, partial: Path, items: Sequence[Item], ids: tuple[str, ...]
    ) -> list[Collection]:
        """Open the shards that are there already, encode the others."""
        parts = []
        for rows in shard_rows(len(items), self.batch_size):
            key = fingerprint(
                [self.encoder, self.modality, self.features, ids[rows], contents(items[rows])]
            )
            folder = partial / key
            if (known := _sound_shard(folder)) is not None:
                parts.append(known)
                continue
            self.shard(items[rows], ids[rows], rows.start).save(folder)
            parts.append(Collection.open(folder))
        return parts

    def _joined(
        self, parts: Sequence[Collection], ids: tuple[str, ...], given: Mapping[str, Feature]
    ) -> Collection:
        whole = {name: joined(features) for name, features in columns_of(parts).items()}
        return Collection(ids, self.modality, encoder=maker_name(self.encoder), **whole, **given)

    def _batch(self, items: Sequence[Item], ids: tuple[str, ...]) -> Collection:
        if not self.features:
            return Collection(ids, self.modality)
        who = f"the encoder {self.encoder.info.name!r}"
        where = f"items {ids[0]!r} to {ids[-1]!r}"
        try:
            made = self.encoder.encode_batch(opened(items), self.modality, self.features)
        except CrossrankError:
            raise
        except Exception as error:
            raise PluginError(
                f"{who} failed on {where}: {type(error).__name__}: {error}"
            ) from error
        for name in self.features:
            if name not in made:
                raise PluginError(f"{who} was asked for {name!r} and did not return it")
            if len(made[name]) != len(items):
                raise PluginError(
                    f"{who} returned {len(made[name])} entries of {name!r} for {len(items)} items"
                )
            _check_finite(made[name], name, ids, who)
        kept = {name: made[name] for name in self.features}
        return Collection(ids, self.modality, encoder=None, **kept)


def _check_finite(feature: Feature, name: str, ids: tuple[str, ...], who: str) -> None:
    rows = feature.flat if isinstance(feature, Ragged) else feature
    if not isinstance(rows, np.ndarray) or rows.dtype.kind != "f" or np.isfinite(rows).all():
        return
    bad = int(np.argmax(~np.isfinite(rows.reshape(len(rows), -1)).all(axis=1)))
    item = bad
    if isinstance(feature, Ragged):
        item = int(np.searchsorted(feature.offsets, bad, side="right")) - 1
    raise PluginError(f"{who} gave item {ids[item]!r} a {name!r} that is not finite")


def shard_rows(count: int, batch_size: int) -> Iterator[slice]:
    step = max(1, SHARD_ITEMS // batch_size) * batch_size
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def _sound_shard(folder: Path) -> Collection | None:
    """Open a shard of an earlier run; one that is damaged is removed, to be encoded again."""
    if not folder.is_dir():
        return None
    try:
        verify_collection(folder)
        return Collection.open(folder)
    except CrossrankError as error:
        logger.warning("%s; these items are encoded again", error)
        shutil.rmtree(folder)
        return None
