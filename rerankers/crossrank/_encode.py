"""Encoding: items in, a collection out, in batches, with progress, resumed after a kill."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crossrank._files.atomic import refuse_existing
from crossrank._items.collection import Collection
from crossrank._items.collection_folder import MANIFEST
from crossrank._items.compact import check_dtypes
from crossrank._items.concatenate import assemble
from crossrank._items.extending import add_features, append_items
from crossrank._items.feature import Feature, take_items
from crossrank._items.fingerprint import fingerprint
from crossrank._items.images import check_image, open_image
from crossrank._items.item import IMAGE_SUFFIXES, Item, ItemLike, as_item, listed
from crossrank._items.pictures import Picture
from crossrank._items.ragged import Ragged
from crossrank._items.read_items import read_items
from crossrank._items.reuse import check_same_items, check_same_source, items_of
from crossrank._items.skipping import sound_items, write_skipped
from crossrank._lists.base_lists import check_positive
from crossrank._lists.candidates import SHORT
from crossrank._progress import as_progress
from crossrank.errors import (
    CrossrankError,
    DuplicateIdError,
    InputError,
    MissingFeatureError,
    PluginError,
    StoreError,
    nearest,
)
from crossrank.plugin._threads import held_to
from crossrank.plugin.contract import Encoder, Progress
from crossrank.plugin.encoders import as_encoder, maker_name, with_device

SHARD_ITEMS = 256

logger = logging.getLogger(__name__)

CARRIED = frozenset({"text", "path"})
"""Features that come from the items themselves."""


def encode(
    encoder: str | type[Encoder] | Encoder,
    items: Iterable[ItemLike] | Path | None = None,
    modality: str | None = None,
    features: Sequence[str] | None = None,
    out: str | Path | None = None,
    *,
    add_to: Collection | str | Path | None = None,
    append: bool = False,
    reuse: bool = False,
    batch_size: int | None = None,
    store_dtype: Mapping[str, str] | None = None,
    progress: Progress | bool | None = None,
    on_item: str = "raise",
    device: str | None = None,
    threads: int | None = None,
    **params: Any,
) -> Collection:
    """Turn texts or pictures into a collection.

    Parameters
    ----------
    encoder
        The name of an installed encoder, an `Encoder` class, or a ready object.
    items
        Texts (str), pictures (`Path`, bytes, a binary file, a data URI, a PIL image, an array or a
        tensor) or `Item`; an item without id is called by its place, from ``"0"``, and a path by
        itself.  Or the `Path` of a folder of pictures, a ``.jsonl`` or a ``.txt``, as
        ``crossrank encode`` reads them.
    modality
        ``"image"``, ``"text"`` or, with an encoder that knows both at once, ``"image+text"``; found
        from the items by default.  With ``"image"`` a str is a path, ``file://`` or base64.
    features
        Which ones; the encoder's usual ones by default.  Those that every item brings along are
        taken as they are.  ``text`` and ``path`` are always kept.
    out
        A new folder to write to.  It appears when it is complete; what is finished before lies in
        ``<out>.partial``, and the same call goes on from there.
    add_to
        A collection whose items get more `features`, without encoding the others again: a
        `Collection`, of which a new one is returned (written to `out` if that is given), or the
        path of a folder, which is extended in place while others read it.  `items` may then be left
        out: they are found by ``path`` or ``text``.
    append
        Whether the items are appended to a folder that is there already, with the features it has.
    reuse
        Whether a folder that is there already is opened if it was made of the same items by the
        same encoder; with `append`, whether items that it holds are left out.
    batch_size
        Items per call of the encoder; the encoder's own wish by default.
    store_dtype
        As what to write some features to `out`, such as ``{"tokens": "int8"}``: see
        `Collection.save`.
    progress
        True for a bar on standard error, or a callable ``(what, done, total)``.
    on_item
        What becomes of an item that cannot be encoded, such as a picture that is damaged:
        ``"raise"``, or ``"skip"``, which leaves it out, says so, and lists it with the reason in
        ``<out>.skipped.jsonl``.
    device
        Where the encoder computes, if it is given by name or class and knows of devices.
    threads
        Threads of numpy and torch while encoding; as they are by default.  Where others compute
        too, more threads than free cores cost many times the processor time by spinning:
        ``OMP_WAIT_POLICY=PASSIVE`` in the environment stops that.
    **params
        The encoder's parameters, where it is given by name or class.

    Returns
    -------
    Collection
        In memory, or memory-mapped from `out`.

    Raises
    ------
    CrossrankError
        `InputError` for items that cannot be encoded, `ImageError` for broken pictures,
        `MissingFeatureError` for features the encoder does not give, `PluginError` for an encoder
        that breaks its contract, `StoreError` where `out` cannot be written.
    """
    if threads is not None:
        check_positive("encode", "threads", threads)
    if add_to is None and items is None:
        raise InputError("encode: give the items, or add_to, the collection that has them")
    maker = as_encoder(encoder, with_device(encoder, params, device))
    options = _Options(modality, features, batch_size, store_dtype, progress, on_item)
    with held_to(threads):
        if add_to is not None:
            if append or reuse:
                raise InputError("encode: append and reuse go with out=, not with add_to=")
            return _add(maker, items, add_to, None if out is None else Path(out), options)
        found = _read(() if items is None else items, modality)
        return _make(maker, found, None if out is None else Path(out), append, reuse, options)


@dataclass(frozen=True, slots=True)
class _Options:
    """Options of `encode`, as the caller gave them."""

    modality: str | None
    features: Sequence[str] | None
    batch_size: int | None
    store_dtype: Mapping[str, str] | None
    progress: Progress | bool | None
    on_item: str


def _make(
    maker: Encoder,
    read: Sequence[Item],
    folder: Path | None,
    append: bool,
    reuse: bool,
    options: _Options,
) -> Collection:
    """Encode items into memory or a folder, a new one or one that is there already."""
    if (append or reuse) and folder is None:
        raise InputError(
            "encode: append and reuse need out, the folder; give it, or leave them out"
        )
    there = folder is not None and (folder / MANIFEST).is_file()
    if folder is not None and not (there and (append or reuse)):
        refuse_existing(folder)
    before = Collection.open(folder) if folder is not None and there else None
    kind = _modality(read, options.modality, maker)
    if options.on_item not in ("raise", "skip"):
        raise InputError(f"encode: on_item is {options.on_item!r}; give 'raise' or 'skip'")
    ids = _ids(read)
    wanted = tuple(dict.fromkeys(options.features)) if options.features is not None else None
    if before is not None and folder is not None:
        check_same_source(folder, before, kind, maker_name(maker), wanted)
        if append:
            read, ids, wanted = _new_items(folder, before, read, ids, reuse)
        else:
            can = maker.info.features.get(kind, ())
            usual = [name for name in maker.info.default_features if name in can]
            needed = usual if wanted is None else wanted
            check_same_items(folder, before, ids, needed, fingerprint(_contents(read)))
        if not append or not read:
            return before
    if options.on_item == "skip":
        read, ids = _without_broken(read, ids, kind, folder)
    brought = [name for name in (wanted or ()) if read and all(name in i.features for i in read)]
    asked = _asked(maker, kind, wanted, brought)
    size = maker.batch_size if options.batch_size is None else options.batch_size
    check_positive("encode", "batch_size", size)
    _check_contents(read, kind, bool(asked))

    dtypes = {} if options.store_dtype is None else options.store_dtype
    _check_dtypes(dtypes, (*asked, *brought), folder)
    run = _Run(maker, kind, asked, size, as_progress(options.progress), len(read))
    given = {name: gathered([item.features[name] for item in read]) for name in brought}
    given |= carried_features(read, kind)
    if folder is None:
        parts = [run.shard(read[rows], ids[rows], rows.start) for rows in _shards(len(read), size)]
        return assemble(parts, kind, maker_name(maker), given, ids)
    if before is None:
        return run.to_folder(read, ids, given, folder, dtypes)
    with run.shards(folder, read, ids) as shards:
        starts = np.cumsum([0, *map(len, shards)])
        whole = [
            shard.with_features(
                **{
                    name: take_items(value, np.arange(start, start + len(shard)))
                    for name, value in given.items()
                }
            )
            for shard, start in zip(shards, starts, strict=False)
        ]
        return append_items(folder, whole, ids)


def _new_items(
    folder: Path,
    before: Collection,
    read: Sequence[Item],
    ids: tuple[str, ...],
    reuse: bool,
) -> tuple[Sequence[Item], tuple[str, ...], tuple[str, ...]]:
    """Return what is to be appended to a folder, its ids, and the features that the folder has."""
    known = [row >= 0 for row in before.rows(ids)]
    if any(known) and not reuse:
        there = ids[known.index(True)]
        raise DuplicateIdError(
            f"encode: {folder} holds the id {there!r} already; leave it out, or give reuse=True"
        )
    new = [item for item, old in zip(read, known, strict=True) if not old]
    names = tuple(id for id, old in zip(ids, known, strict=True) if not old)
    return new, names, before.features


def _add(
    maker: Encoder,
    items: Iterable[ItemLike] | Path | None,
    add_to: Collection | str | Path,
    out: Path | None,
    options: _Options,
) -> Collection:
    """Encode more features of a collection's items."""
    in_place = None if isinstance(add_to, Collection) else Path(add_to)
    whole = add_to if isinstance(add_to, Collection) else Collection.open(add_to)
    if in_place is not None and out is not None:
        raise InputError("encode: a folder given as add_to is extended in place; leave out out=")
    if out is not None:
        refuse_existing(out)
    if not options.features:
        raise InputError("encode: add_to needs features, the names of what is to be added")
    names = tuple(name for name in dict.fromkeys(options.features) if name not in whole)
    dtypes = {} if options.store_dtype is None else options.store_dtype
    if names:
        read = items_of(whole, None if items is None else _read(items, options.modality))
        brought = [name for name in names if read and all(name in i.features for i in read)]
        asked = _asked(maker, whole.modality, names, brought)
        size = maker.batch_size if options.batch_size is None else options.batch_size
        check_positive("encode", "batch_size", size)
        _check_contents(read, whole.modality, bool(asked))
        _check_dtypes(dtypes, (*asked, *brought), in_place or out)
        run = _Run(maker, whole.modality, asked, size, as_progress(options.progress), len(read))
        given = {name: gathered([item.features[name] for item in read]) for name in brought}
        if in_place is not None:
            with run.shards(in_place, read, whole.ids) as shards:
                columns = {name: [shard[name] for shard in shards] for name in asked}
                columns |= {name: [value] for name, value in given.items()}
                return add_features(in_place, columns, dtypes)
        parts = [
            run.shard(read[rows], whole.ids[rows], rows.start) for rows in _shards(len(read), size)
        ]
        made = assemble(parts, whole.modality, None, given, whole.ids)
        whole = whole.with_features(**{name: made[name] for name in made.features})
    if out is None:
        return whole
    whole.save(out, dtypes)
    return Collection.open(out)


class _Run:
    """One call of `encode`."""

    def __init__(
        self,
        encoder: Encoder,
        modality: str,
        features: tuple[str, ...],
        batch_size: int,
        progress: Progress,
        total: int,
    ) -> None:
        self.encoder = encoder
        self.modality = modality
        self.features = features
        self.batch_size = batch_size
        self.progress = progress
        self.total = total

    def shard(self, items: Sequence[Item], ids: tuple[str, ...], start: int) -> Collection:
        """Encode some items, batch by batch."""
        parts = []
        for first in range(0, len(items), self.batch_size):
            rows = slice(first, first + self.batch_size)
            parts.append(self._batch(items[rows], ids[rows]))
            self.progress(
                f"encode {self.modality}s", min(start + rows.stop, start + len(items)), self.total
            )
        return assemble(parts, self.modality, maker_name(self.encoder), {}, ids)

    def to_folder(
        self,
        items: Sequence[Item],
        ids: tuple[str, ...],
        given: Mapping[str, Feature],
        out: Path,
        dtypes: Mapping[str, str],
    ) -> Collection:
        """Encode shard by shard into ``<out>.partial``, then put them together."""
        contents = fingerprint(_contents(items))
        with self.shards(out, items, ids) as parts:
            assemble(
                parts, self.modality, maker_name(self.encoder), given, ids, out, dtypes, contents
            )
        return Collection.open(out)

    @contextmanager
    def shards(
        self, out: Path, items: Sequence[Item], ids: tuple[str, ...]
    ) -> Iterator[list[Collection]]:
        """Encode shard by shard into ``<out>.partial``, which goes when all is well."""
        partial = out.with_name(out.name + ".partial")
        try:
            partial.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{partial} could not be made: {error}") from error
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
        for rows in _shards(len(items), self.batch_size):
            key = fingerprint(
                [self.encoder, self.modality, self.features, ids[rows], _contents(items[rows])]
            )
            folder = partial / key
            if not folder.is_dir():
                self.shard(items[rows], ids[rows], rows.start).save(folder)
            parts.append(Collection.open(folder))
        return parts

    def _batch(self, items: Sequence[Item], ids: tuple[str, ...]) -> Collection:
        if not self.features:
            return Collection(ids, self.modality)
        who = f"the encoder {self.encoder.info.name!r}"
        where = f"items {ids[0]!r} to {ids[-1]!r}"
        try:
            made = self.encoder.encode_batch(_in_memory(items), self.modality, self.features)
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


def _read(items: Iterable[ItemLike] | Path, modality: str | None) -> list[Item]:
    """Return the items of a list, or of a folder or file."""
    if isinstance(items, Path):
        if items.suffix.lower() in IMAGE_SUFFIXES and not items.is_dir():
            raise InputError(f"encode: {items} is one picture; give a list of items")
        return read_items(items)
    said = modality if modality in ("image", "text") else None
    return [as_item(item, said) for item in listed("encode", "items", items)]


def _without_broken(
    items: Sequence[Item], ids: tuple[str, ...], modality: str, folder: Path | None
) -> tuple[list[Item], tuple[str, ...]]:
    named = [
        Item(id, item.text, item.image, **item.features)
        for id, item in zip(ids, items, strict=True)
    ]
    sound, skipped = sound_items(named, modality)
    if not sound:
        raise InputError(
            f"encode: none of {len(items)} items can be encoded; the first, {skipped[0][0]!r}: "
            f"{skipped[0][1]}"
        )
    if skipped:
        logger.warning(
            "encode: left out %d of %d items that cannot be encoded; the first, %r: %s",
            *(len(skipped), len(items), *skipped[0]),
        )
    if folder is not None:
        write_skipped(folder.with_name(f"{folder.name}.skipped.jsonl"), skipped)
    return sound, tuple(str(item.id) for item in sound)


def _in_memory(items: Sequence[Item]) -> Sequence[Item]:
    """Open pictures that are bytes: an encoder gets paths and PIL images."""
    if not any(isinstance(item.image, bytes) for item in items):
        return items
    return [
        Item(item.id, item.text, open_image(item.image), **item.features)
        if isinstance(item.image, bytes)
        else item
        for item in items
    ]


def _check_dtypes(dtypes: Mapping[str, str], names: Sequence[str], out: Path | None) -> None:
    """Refuse before the work what could not be stored after it."""
    if dtypes and out is None:
        raise InputError("encode: store_dtype does nothing without out; give it, or leave it out")
    check_dtypes(dtypes)
    for name in dtypes:
        if name not in names:
            raise InputError(
                f"encode: store_dtype names {name!r}, which is not encoded{nearest(name, names)}"
            )


def _check_finite(feature: Feature, name: str, ids: tuple[str, ...], who: str) -> None:
    rows = feature.flat if isinstance(feature, Ragged) else feature
    if not isinstance(rows, np.ndarray) or rows.dtype.kind != "f" or np.isfinite(rows).all():
        return
    bad = int(np.argmax(~np.isfinite(rows.reshape(len(rows), -1)).all(axis=1)))
    item = bad
    if isinstance(feature, Ragged):
        item = int(np.searchsorted(feature.offsets, bad, side="right")) - 1
    raise PluginError(f"{who} gave item {ids[item]!r} a {name!r} that is not finite")


def _shards(count: int, batch_size: int) -> Iterator[slice]:
    step = max(1, SHARD_ITEMS // batch_size) * batch_size
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def _modality(items: Sequence[Item], wish: str | None, encoder: Encoder) -> str:
    if wish not in (None, *SHORT):
        raise InputError(f"encode: modality is {wish!r}; give 'image', 'text' or 'image+text'")
    found = {item.modality for item in items}
    if wish is None:
        if len(found) == 1 and found <= {"image", "text", *encoder.info.features}:
            return found.pop()
        kinds = ", ".join(sorted(kind or "neither" for kind in found)) or "none"
        raise InputError(
            f"encode: the items are of modality {kinds}; say modality='image' or 'text'"
        )
    if wish == "image+text" and not encoder.info.features.get(wish):
        raise InputError(
            f"encode: the encoder {encoder.info.name!r} knows pictures or texts, not both at once; "
            "'composed' and 'vista' do"
        )
    return wish


def _ids(items: Sequence[Item]) -> tuple[str, ...]:
    ids = tuple(str(n) if item.id is None else item.id for n, item in enumerate(items))
    seen: set[str] = set()
    for id in ids:
        if id in seen:
            raise DuplicateIdError(f"encode: the id {id!r} stands twice; ids must be unique")
        seen.add(id)
    return ids


def _asked(
    encoder: Encoder, modality: str, wanted: tuple[str, ...] | None, brought: Sequence[str]
) -> tuple[str, ...]:
    info = encoder.info
    can = info.features.get(modality, ())
    if wanted is None:
        wanted = tuple(name for name in info.default_features if name in can)
    kept = {"text": ("text",), "image": ("path",)}.get(modality, ("text", "path"))
    asked = tuple(name for name in wanted if name not in brought and name not in kept)
    for name in asked:
        if name not in can:
            raise MissingFeatureError(
                f"the encoder {info.name!r} gives no {name!r} of {modality}s{nearest(name, can)}"
            )
    return asked


def _check_contents(items: Sequence[Item], modality: str, needed: bool) -> None:
    for number, item in enumerate(items):
        who = f"item {item.id or number!r}"
        if "text" in modality and needed and (item.text is None or not item.text.strip()):
            raise InputError(f"encode: {who} has no text or an empty one; leave it out")
        if "image" in modality and needed:
            if item.image is None:
                raise InputError(f"encode: {who} has no image")
            check_image(item.image, who)


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


def _contents(items: Sequence[Item]) -> list[Any]:
    return [(item.text, _identity(item.image)) for item in items]


def _identity(image: Picture | None) -> Any:
    if isinstance(image, Path):
        try:
            stat = image.stat()
        except OSError:
            return str(image), "not there"
        return str(image.resolve()), stat.st_size, stat.st_mtime_ns
    if isinstance(image, bytes):
        return np.frombuffer(image, np.uint8)
    return None if image is None else np.asarray(open_image(image))
