"""Items as they travel: texts, and pictures as data URIs."""

from __future__ import annotations

import base64
import io
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING

from crossrank import Item
from crossrank.errors import ImageError, InputError

if TYPE_CHECKING:
    from PIL import Image


def part_of(item: Item, who: str) -> dict[str, str]:
    """Return an item as ``{"text"?, "image"?}``.

    Raises
    ------
    InputError
        For an item that has neither.
    ImageError
        For a file that cannot be read.
    """
    part: dict[str, str] = {}
    if item.text is not None:
        part["text"] = item.text
    if item.image is not None:
        part["image"] = data_uri(item.image)
    if not part:
        raise InputError(
            f"{who}: the item {item.id!r} has neither text nor image, and a server takes no "
            "features; give it one of them"
        )
    return part


def data_uri(image: Path | bytes | Image.Image) -> str:
    """Return a picture's own file, or a lossless one of an open picture, as a data URI."""
    kind = "image/png"  # what a file really is, the server sees by itself
    if isinstance(image, bytes):
        data = image
    elif isinstance(image, Path):
        kind = mimetypes.guess_type(image.name)[0] or kind
        try:
            data = image.read_bytes()
        except OSError as error:
            raise ImageError(f"{image} cannot be read: {error.strerror}; check the path") from error
    else:
        file = io.BytesIO()
        image.save(file, "PNG")
        data = file.getvalue()
    if not kind.startswith("image/"):
        kind = "image/png"
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
