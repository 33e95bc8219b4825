"""What an item's content is recognised by: its text, and its picture's bytes or pixels."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from crossrank._files.digest import digest_of
from crossrank._items.images import open_image
from crossrank._items.item import Item
from crossrank.errors import CrossrankError

Stamp: TypeAlias = tuple[int, int, int, int]
"""Size, times of change, and number of a file."""

MOST_FILES = 200_000
SETTLED = 2.0
"""Seconds: a file that was written more recently may be written again under the same times."""

_known: OrderedDict[tuple[str, str], tuple[Stamp, str]] = OrderedDict()
_lock = threading.Lock()


def content_keys(maker: str, items: Sequence[Item]) -> list[str | None]:
    """Return the `content_key` of several items.

    Files that did not change, the most common case by far, are told from one look each.
    """
    keys: list[str | None] = []
    for item in items:
        image, text = item.image, item.text
        if text is None and isinstance(image, Path):
            name = str(image)
            known = _known.get((maker, name))
            if known is not None:
                try:
                    now = os.stat(name)  # noqa: PTH116
                except (OSError, ValueError):
                    now = None
                if now is not None and known[0] == _stamp_of(now):
                    keys.append(known[1])
                    continue
        keys.append(content_key(maker, item))
    return keys


def content_key(maker: str, item: Item) -> str | None:
    """Return a digest of who encodes what; None where a picture cannot be read.

    A file is read once: as long as its path, size, times and number are the same, so is its
    content.  That does not hold for a file that has just been written, which is read again.

    Parameters
    ----------
    maker
        Who encodes, and as what.
    item
        Its text and picture count, its id does not.
    """
    try:
        if isinstance(item.image, Path):
            return _key_of_file(maker, item.image, item.text)
        return _key(maker, _picture(item.image), item.text)
    except (OSError, ValueError, CrossrankError, MemoryError):
        return None


def _key_of_file(maker: str, path: Path, text: str | None) -> str:
    """Return the key of a file; the same as before, without reading it, if it did not change."""
    # the name counts, too: two places are two pictures, and none is looked for elsewhere
    name = str(path)
    if not name.startswith(os.sep):
        name = str(path.absolute())
    place = maker, name if text is None else f"{name}\0{text}"
    stamp = _stamp(name)
    known = _known.get(place)
    if known is not None and known[0] == stamp:
        return known[1]
    settled = max(stamp[1], stamp[2]) / 1e9 < time.time() - SETTLED
    found = _key(maker, f"file {name}\0{digest_of(path)}", text)
    if settled and _stamp(name) == stamp:
        with _lock:
            _known[place] = stamp, found
            while len(_known) > MOST_FILES:
                _known.popitem(last=False)
    return found


def _stamp(path: str) -> Stamp:
    return _stamp_of(os.stat(path))  # noqa: PTH116


def _stamp_of(stat: os.stat_result) -> Stamp:
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _picture(image: bytes | Image.Image | None) -> str:
    if image is None:
        return ""
    if isinstance(image, bytes):
        return f"bytes {_digest(image)}"
    pixels = open_image(image)
    return f"pixels {pixels.size} {_digest(pixels.tobytes())}"


def _key(maker: str, picture: str, text: str | None) -> str:
    lengths = f"{len(maker)} {len(picture)} {text is None}"
    content = f"{lengths}\0{maker}{picture}{'' if text is None else text}"
    return _digest(content.encode("utf-8", "surrogatepass"))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
