"""The items of a call: read, named, of one modality, with what the encoder needs of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossrank._files.atomic import atomic_file, beside
from crossrank._files.json_lines import json_line
from crossrank._items.ids import check_distinct
from crossrank._items.images import check_image, open_image
from crossrank._items.item import IMAGE_SUFFIXES, Item, ItemLike, as_item, listed
from crossrank._items.pictures import Picture
from crossrank._items.read_items import read_items
from crossrank._lists.candidates import LETTERS
from crossrank._text import is_blank
from crossrank.errors import CrossrankError, InputError, MissingFeatureError, nearest
from crossrank.plugin.contract import Encoder

logger = logging.getLogger(__name__)


def read_all(items: Iterable[ItemLike] | Path, modality: str | None) -> list[Item]:
    """Return the items of a list, or of a folder or file."""
    if isinstance(items, Path):
        if items.suffix.lower() in IMAGE_SUFFIXES and not items.is_dir():
            raise InputError(f"encode: {items} is one picture; give a list of items")
        return read_items(items)
    said = modality if modality in ("image", "text") else None
    return [as_item(item, said) for item in listed("encode", "items", items)]


def without_broken(
    items: Sequence[Item], ids: tuple[str, ...], modality: str, folder: Path | None
) -> tuple[list[Item], tuple[str, ...]]:
    named = [
        Item(id, item.text, item.image, **item.features)
        for id, item in zip(ids, items, strict=True)
    ]
    sound, skipped = _sound_items(named, modality)
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
        _write_skipped(beside(folder, ".skipped.jsonl"), skipped)
    return sound, tuple(str(item.id) for item in sound)


def _sound_items(items: Sequence[Item], modality: str) -> tuple[list[Item], list[tuple[str, str]]]:
    """Return the items of one modality that can be encoded, and id and reason of every other.

    Pictures are decoded to know it, one after the other.
    """
    sound, skipped = [], []
    for item in items:
        reason = _fault(item, modality)
        if reason is None:
            sound.append(item)
        else:
            skipped.append((str(item.id), reason))
    return sound, skipped


def _write_skipped(path: Path, skipped: Sequence[tuple[str, str]]) -> None:
    """Write a line ``{"id": …, "reason": …}`` for each; without any, the file is not made."""
    if skipped:
        with atomic_file(path) as file:
            file.writelines(json_line({"id": id, "reason": reason}) for id, reason in skipped)
    else:
        path.unlink(missing_ok=True)


def _fault(item: Item, modality: str) -> str | None:
    if "text" in modality and (item.text is None or is_blank(item.text)):
        return "no text, or an empty one"
    if "image" not in modality:
        return None
    if item.image is None:
        return "no image"
    try:
        open_image(item.image)
    except CrossrankError as error:
        return str(error)
    return None


def opened(items: Sequence[Item]) -> Sequence[Item]:
    """Open pictures that are bytes: an encoder gets paths and PIL images."""
    if not any(isinstance(item.image, bytes) for item in items):
        return items
    return [
        Item(item.id, item.text, open_image(item.image), **item.features)
        if isinstance(item.image, bytes)
        else item
        for item in items
    ]


def modality_of(items: Sequence[Item], wish: str | None, encoder: Encoder) -> str:
    if wish not in (None, *LETTERS):
        raise InputError(f"encode: modality is {wish!r:.80}; give 'image', 'text' or 'image+text'")
    modalities = {item.modality for item in items}
    if wish is None:
        if len(modalities) == 1 and modalities <= {"image", "text", *encoder.info.features}:
            return modalities.pop()
        kinds = ", ".join(sorted(kind or "neither" for kind in modalities)) or "none"
        raise InputError(
            f"encode: the items are of modality {kinds}; say modality='image' or modality='text'"
        )
    if wish == "image+text" and not encoder.info.features.get(wish):
        raise InputError(
            f"encode: the encoder {encoder.info.name!r} knows pictures or texts, not both at once; "
            "'composed' and 'vista' do"
        )
    return wish


def ids_of(items: Sequence[Item]) -> tuple[str, ...]:
    ids = tuple(str(n) if item.id is None else item.id for n, item in enumerate(items))
    check_distinct("encode", ids)
    return ids


def asked_of(
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


def check_contents(items: Sequence[Item], modality: str, needed: bool) -> None:
    for number, item in enumerate(items):
        who = f"item {item.id or number!r}"
        if "text" in modality and needed and (item.text is None or is_blank(item.text)):
            raise InputError(f"encode: {who} has no text or an empty one; leave it out")
        if "image" in modality and needed:
            if item.image is None:
                raise InputError(f"encode: {who} has no image")
            check_image(item.image, who)


def contents(items: Sequence[Item]) -> list[Any]:
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
