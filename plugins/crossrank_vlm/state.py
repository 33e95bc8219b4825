"""What a run has: what its items say and show, and its pictures by number."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

import crossrank as cr
from crossrank.plugin.contents import Content, contents_of
from crossrank_blip2.contents import content_digest
from crossrank_vlm.vision import Picture

ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)
"""EXIF's tag, and its values that turn width and height about."""
TELLING = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")
"""Chunks of PNG files that may say how a camera was held."""


@dataclass(frozen=True, slots=True)
class Items:
    """One side of a run.

    Parameters
    ----------
    contents
        By row of its collection, for the rows that occur.
    pictures
        By row, the number of its picture.
    instructions
        By row, what a query asks for itself.
    """

    contents: Mapping[int, Content]
    pictures: Mapping[int, int]
    instructions: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VlmState:
    """What `VlmReranker.prepare` found.

    Parameters
    ----------
    queries, candidates
        Both sides.
    pictures
        Of both, by number; the same file is there once.
    kept
        Where vision outputs are kept.
    device, dtype
        Of the run.
    """

    queries: Items
    candidates: Items
    pictures: tuple[Picture, ...]
    kept: Any
    device: str
    dtype: str


def items_of(context: cr.Context) -> tuple[Items, Items, tuple[Picture, ...]]:
    """Return both sides of a run, and their pictures.

    Raises
    ------
    MissingFeatureError, InputError
        If a collection does not say what its items are.
    ImageError
        Naming a picture that cannot be read.
    """
    numbers: dict[str, int] = {}
    pictures: list[Picture] = []
    sides = []
    for side in (context.asked, context.listed):
        rows = side.rows.tolist()
        contents = dict(zip(rows, contents_of("vlm", side.collection, rows), strict=True))
        shown = {}
        for row, content in contents.items():
            if content.path is None:
                continue
            key = content_digest(content.path)
            if key not in numbers:
                numbers[key] = len(pictures)
                pictures.append(Picture(content.path, key, _size(content.path, key)))
            shown[row] = numbers[key]
        sides.append(Items(contents, shown, _instructions(side.collection, rows)))
    return sides[0], sides[1], tuple(pictures)


@lru_cache(maxsize=1 << 16)
def _size(path: Path, key: str) -> tuple[int, int]:
    """Return a picture's width and height, upright, from its header where that can be read."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            # for a PNG file Pillow decodes the whole picture to see what stands behind it
            early = image.format == "PNG" and not _tells_late(path)
            exif = Image.Image.getexif(image) if early else image.getexif()
            turned = exif.get(ORIENTATION, 1) in SIDEWAYS
    except Exception:  # whatever it is, this says it in one way
        return cr.open_image(path).size
    return (height, width) if turned else (width, height)


def _tells_late(path: Path) -> bool:
    """Return whether a PNG file says something of the picture behind its pixels."""
    pixels = False
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            kind = head[4:]
            pixels |= kind == b"IDAT"
            if pixels and kind in TELLING:
                return True
            file.seek(int.from_bytes(head[:4]) + 4, os.SEEK_CUR)
    return False


def _instructions(collection: cr.Collection, rows: Sequence[int]) -> dict[int, str]:
    if "instruction" not in collection:
        return {}
    said = {row: collection["instruction"][row] for row in rows}
    return {row: text for row, text in said.items() if isinstance(text, str) and text.strip()}
