"""What becomes of a call: a new collection, one that grows, or one with more features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crossrank._checking import check_count, checked, each, instance_of, none, one_of, text
from crossrank._encode.brought import carried_features, gathered
from crossrank._encode.items import (
    asked_of,
    check_contents,
    contents,
    ids_of,
    modality_of,
    read_all,
    without_broken,
)
from crossrank._encode.left import remove_used
from crossrank._encode.run import Run
from crossrank._files.atomic import possible, refuse_existing
from crossrank._items.collection import Collection
from crossrank._items.compact import check_dtypes
from crossrank._items.extending import add_features, append_items
from crossrank._items.feature import Feature, take_items
from crossrank._items.fingerprint import fingerprint
from crossrank._items.item import Item, ItemLike, listed
from crossrank._items.manifest import MANIFEST
from crossrank._items.reuse import check_same_items, check_same_source, items_of
from crossrank._progress import as_progress
from crossrank.errors import (
    DuplicateIdError,
    InputError,
    nearest,
)
from crossrank.plugin.contract import Encoder, Progress
from crossrank.plugin.encoders import maker_name


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `encode`, as the caller gave them."""

    modality: str | None
    features: Sequence[str] | None
    batch_size: int | None
    store_dtype: Mapping[str, str] | None
    progress: Progress | bool | None
    on_item: str

    def __post_init__(self) -> None:
        checked("encode", "modality", self.modality, text | none)
        if self.features is not None:
            names = listed("encode", "features", self.features)
            checked("encode", "features", names, each(instance_of(str, give="a str")))
            object.__setattr__(self, "features", names)
        if self.batch_size is not None:
            object.__setattr__(
                self, "batch_size", check_count("encode", "batch_size", self.batch_size)
            )
        if self.store_dtype is not None and not isinstance(self.store_dtype, Mapping):
            raise InputError(
                f"encode: store_dtype is {self.store_dtype!r:.80}; give a float type for each "
                'feature, such as {"tokens": "float16"}'
            )
        if not one_of("raise", "skip").accepts(self.on_item):
            raise InputError(f"encode: on_item is {self.on_item!r:.80}; give 'raise' or 'skip'")

    @property
    def dtypes(self) -> Mapping[str, str]:
        """As what to store which feature."""
        return {} if self.store_dtype is None else self.store_dtype


def make(
    maker: Encoder,
    read: Sequence[Item],
    folder: Path | None,
    append: bool,
    reuse: bool,
    options: Options,
) -> Collection:
    """Encode items into memory or a folder, a new one or one that is there already."""
    if (append or reuse) and folder is None:
        raise InputError(
            "encode: append and reuse need out, the folder; give it, or leave them out"
        )
    there = folder is not None and (folder / MANIFEST).is_file()
    if folder is not None and there and remove_used(folder):
        reuse = reuse or not append  # this very call may have been killed at its end
    if folder is not None and not (there and (append or reuse)):
        refuse_existing(folder)
    before = Collection.open(folder) if folder is not None and there else None
    kind = modality_of(read, options.modality, maker)
    ids = ids_of(read)
    wanted = tuple(dict.fromkeys(options.features)) if options.features is not None else None
    if before is not None and folder is not None:
        check_same_source(folder, before, kind, maker_name(maker), wanted)
        if append:
            read, ids, wanted = _new_items(folder, before, read, ids, reuse)
        else:
            can = maker.info.features.get(kind, ())
            usual = [name for name in maker.info.default_features if name in can]
            needed = usual if wanted is None else wanted
            check_same_items(folder, before, ids, needed, fingerprint(contents(read)))
        if not append or not read:
            return before
    if options.on_item == "skip":
        read, ids = without_broken(read, ids, kind, folder)
    run, given = _prepared(maker, read, kind, wanted, folder, options)
    given |= carried_features(read, kind)
    if folder is None:
        return run.in_memory(read, ids, given)
    if before is None:
        return run.to_folder(read, ids, given, folder, options.dtypes)
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


def add(
    maker: Encoder,
    items: Iterable[ItemLike] | Path | None,
    add_to: Collection | str | Path,
    out: Path | None,
    options: Options,
) -> Collection:
    """Encode more features of a collection's items."""
    in_place = None if isinstance(add_to, Collection) else possible(add_to)
    if in_place is not None:
        remove_used(in_place)
    whole = add_to if isinstance(add_to, Collection) else Collection.open(add_to)
    if in_place is not None and out is not None:
        raise InputError("encode: a folder given as add_to is extended in place; leave out out=")
    if out is not None:
        refuse_existing(out)
    if not options.features:
        raise InputError("encode: add_to needs features, the names of what is to be added")
    names = tuple(name for name in dict.fromkeys(options.features) if name not in whole)
    if names:
        read = items_of(whole, None if items is None else read_all(items, options.modality))
        run, given = _prepared(maker, read, whole.modality, names, in_place or out, options)
        if in_place is not None:
            with run.shards(in_place, read, whole.ids) as shards:
                columns = {name: [shard[name] for shard in shards] for name in run.features}
                columns |= {name: [value] for name, value in given.items()}
                return add_features(in_place, columns, options.dtypes)
        made = run.in_memory(read, whole.ids, given)
        whole = whole.with_features(**{name: made[name] for name in made.features})
    if out is None:
        return whole
    whole.save(out, options.dtypes)
    return Collection.open(out)


def _prepared(
    maker: Encoder,
    read: Sequence[Item],
    modality: str,
    wanted: tuple[str, ...] | None,
    folder: Path | None,
    options: Options,
) -> tuple[Run, dict[str, Feature]]:
    """Return the work that is to be done, all of it checked, and what the items bring along."""
    brought = [name for name in (wanted or ()) if read and all(name in i.features for i in read)]
    asked = asked_of(maker, modality, wanted, brought)
    size = maker.batch_size if options.batch_size is None else options.batch_size
    check_count("encode", "batch_size", size)
    check_contents(read, modality, bool(asked))
    _check_storable(options.dtypes, (*asked, *brought), folder)
    run = Run(maker, modality, asked, size, as_progress(options.progress), len(read))
    return run, {name: gathered([item.features[name] for item in read]) for name in brought}


def _check_storable(dtypes: Mapping[str, str], names: Sequence[str], out: Path | None) -> None:
    """Refuse before the work what could not be stored after it."""
    if dtypes and out is None:
        raise InputError("encode: store_dtype does nothing without out; give it, or leave it out")
    check_dtypes(dtypes)
    for name in dtypes:
        if name not in names:
            raise InputError(
                f"encode: store_dtype names {name!r}, which is not encoded{nearest(name, names)}"
            )
