"""What a host's document shows: its picture, out of the forms that hosts keep one in."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from PIL import Image

from crossrank.plugin.files import IMAGE_SUFFIXES

PICTURE_KEYS = ("image_path", "image", "image_uri", "image_bytes", "blob")
"""Where hosts keep a picture in a document's metadata, in the order in which they are looked at."""

FILE_KEYS = ("source", "file_path", "path", "uri")
"""Where they name a file of any kind: it is a picture if it ends like one."""

LONGEST_NAME = 4096
"""Characters of a path, at most, on most systems."""

BASE64 = re.compile(r"(?:/9j/|iVBORw0KGgo|R0lGOD|UklGR|Qk0|SUkq|TU0A)[A-Za-z0-9+/\s]{60,}={0,2}\s*")
"""Base64 of JPEG, PNG, GIF, WebP, BMP and TIFF, by their first bytes."""


def picture_in(metadata: Mapping[str, Any], key: str | None = None) -> Any:
    """Return the picture that metadata name or hold, else None.

    Parameters
    ----------
    metadata
        Of a document, with values of any type.
    key
        Where the picture is.  By default the first of `PICTURE_KEYS` that names or holds one, or of
        `FILE_KEYS` whose value is surely meant as one.
    """
    if key is not None:
        return metadata[key] if is_given(metadata.get(key)) else None
    for keys, fits in ((PICTURE_KEYS, is_given), (FILE_KEYS, is_picture)):
        for each in keys:
            if each in metadata and fits(metadata[each]):
                return metadata[each]
    return None


def is_given(value: object) -> bool:
    """Tell whether a value, said to be a picture, is one or names one."""
    if isinstance(value, str):
        return bool(value.strip())
    return isinstance(value, PurePath) or is_picture(value)


def is_picture(value: object) -> bool:
    """Tell whether a value is a picture, or is surely meant to name one."""
    if isinstance(value, str):
        return is_encoded_picture(value) or names_picture(value)
    if isinstance(value, PurePath):
        return names_picture(str(value))
    if isinstance(value, Image.Image | bytes | bytearray):
        return True
    return hasattr(value, "as_bytes") or hasattr(value, "__array__")


def names_picture(text: str) -> bool:
    """Tell whether a string is the path or the address of a picture, by its end."""
    if len(text) > LONGEST_NAME or "\n" in text:
        return False
    name, _, ending = text.partition("?")[0].rpartition(".")
    return f".{ending.lower()}" in IMAGE_SUFFIXES and name[-1:] not in ("", "/", "\\")


def is_encoded_picture(text: str) -> bool:
    """Tell whether a string is a picture itself: a data URI, or base64 of a known format."""
    return text.startswith("data:image/") or BASE64.fullmatch(text) is not None


TEXT_KEYS = ("text", "content", "page_content", "document", "caption", "body")
"""Where stores keep a text in a row or payload, likewise."""


def shown(image: Any, text: object) -> tuple[Any, str | None]:
    """Return the picture and the text of a document; a text that is a picture's is its picture."""
    said = text if isinstance(text, str) and text.strip() else None
    if image is None and said is not None:
        image = of_text(said)
        said = said if image is None else None
    return image, said


def shown_in(
    row: Mapping[str, Any], image_key: str | None = None, text_key: str | None = None
) -> tuple[Any, str | None]:
    """Return the picture and the text in a row of a store, or a payload."""
    keys = TEXT_KEYS if text_key is None else (text_key,)
    text = next((row[key] for key in keys if isinstance(row.get(key), str)), None)
    return shown(picture_in(row, image_key), text)


def of_text(text: str) -> Any:
    """Return a string as a picture if it is or names one, else None."""
    if is_encoded_picture(text):
        return text
    return Path(text) if names_picture(text) else None


def as_path(image: Any) -> Path | None:
    """Return where a picture lies that is a path, or plainly the text of one; None for others."""
    if isinstance(image, Path):
        return image
    if isinstance(image, str) and len(image) <= LONGEST_NAME:  # a picture in base64 is not kept
        return _named_by(image)
    return None


@lru_cache(maxsize=1 << 14)
def _named_by(text: str) -> Path | None:
    return path_of(text) if "://" not in text and names_picture(text) else None


@lru_cache(maxsize=1 << 14)
def path_of(text: str) -> Path:
    """Return a path, parsed once: a search finds the same files again and again."""
    return Path(text)


def opened(image: Any) -> Any:
    """Return a picture in a form that `crossrank.Item` takes."""
    if not hasattr(image, "as_bytes"):
        return image
    return image.as_bytes() if image.path is None else Path(image.path)  # LangChain's Blob


def decoded(content: str | bytes) -> Any:
    """Return base64 as bytes; what is not base64 stays as it is, for the reader to refuse."""
    try:
        return base64.b64decode(content)
    except (binascii.Error, ValueError):
        return content
