"""The call `crossrank.encode`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crossrank._checking import MOST_AT_ONCE, boolean, check_count, checked, none, text
from crossrank._encode.items import read_all
from crossrank._encode.making import Options, add, make
from crossrank._files.atomic import possible
from crossrank._items.collection import Collection
from crossrank._items.item import ItemLike
from crossrank.errors import (
    InputError,
)
from crossrank.plugin._threads import held_to
from crossrank.plugin.contract import Encoder, Progress
from crossrank.plugin.encoders import as_encoder, with_device


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
        threads = check_count("encode", "threads", threads, MOST_AT_ONCE)
    if add_to is None and items is None:
        raise InputError("encode: give the items, or add_to, the collection that has them")
    checked("encode", "device", device, text | none)
    maker = as_encoder(encoder, with_device(encoder, params, device))
    for name, value in (("append", append), ("reuse", reuse)):
        checked("encode", name, value, boolean)
    options = Options(modality, features, batch_size, store_dtype, progress, on_item)
    folder = None if out is None else possible(out)
    with held_to(threads):
        if add_to is not None:
            if append or reuse:
                raise InputError("encode: append and reuse go with out=, not with add_to=")
            return add(maker, items, add_to, folder, options)
        found = read_all(() if items is None else items, modality)
        return make(maker, found, folder, append, reuse, options)
