"""Where the pictures of a benchmark lie: looked up by name, whatever the folders are called."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

from PIL import Image

import crossrank as cr
from crossrank.plugin.files import IMAGE_SUFFIXES

Found: TypeAlias = Path | None
Corners: TypeAlias = tuple[int, int, int, int]


class Shot(NamedTuple):
    """A picture as a benchmark names it, and the part of it that is meant.

    Parameters
    ----------
    name
        A file name, a path or an address.
    box
        ``left, top, right, bottom`` in pixels; None for the whole picture.
    """

    name: str
    box: Corners | None = None


def find_pictures(shots: Sequence[Shot], folders: Iterable[Path]) -> list[Found]:
    """Return the file of each picture, None where there is none.

    The end of a path decides, as far as it goes: of two files with one name, the one whose folder
    fits too.  No name leads out of the folders.
    """
    by_name: dict[str, list[Path]] = {}
    for folder in folders:
        for root, _, files in os.walk(folder):
            for file in files:
                path = Path(root, file)
                if path.suffix.lower() in IMAGE_SUFFIXES:
                    by_name.setdefault(file, []).append(path)
                    if path.stem != file:
                        by_name.setdefault(path.stem, []).append(path)
    return [_nearest(shot.name, by_name) for shot in shots]


def picture_item(id: str, shot: Shot, path: Path) -> cr.Item:
    """Return a picture as an item for an encoder."""
    if shot.box is None:
        return cr.Item(id, image=path)
    return cr.Item(id, image=cropped(path, shot.box))


def cropped(path: Path, box: Corners) -> Image.Image:
    """Return the part of a picture that a benchmark means, at least one pixel of it."""
    picture = cr.open_image(path)
    left, top = (min(max(0, box[k]), picture.size[k] - 1) for k in (0, 1))
    right, bottom = (min(max(box[k], (left, top)[k - 2] + 1), picture.size[k - 2]) for k in (2, 3))
    return picture.crop((left, top, right, bottom))


def _nearest(name: str, by_name: dict[str, list[Path]]) -> Found:
    parts = PurePosixPath(urlsplit(name).path if "://" in name else name.replace("\\", "/")).parts
    if not parts:
        return None
    candidates = by_name.get(parts[-1], [])
    return max(candidates, key=lambda path: (_shared(path.parts, parts), str(path)), default=None)


def _shared(path: Sequence[str], asked: Sequence[str]) -> int:
    """Return how many folders agree, from the file upwards."""
    count = 0
    for one, other in zip(reversed(path[:-1]), reversed(asked[:-1]), strict=False):
        if one != other:
            break
        count += 1
    return count
