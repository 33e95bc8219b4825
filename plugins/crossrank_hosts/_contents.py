"""What a host's document shows: its picture, out of the forms that hosts keep one in."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from PIL import Image

from crossrank.plugin.files import IMAGE_SUFFIXES

PICTURE_KEYS = ("image_path", "image", "image_uri", "source", "file_path", "path", "uri")
"""Where hosts keep a picture in a document's metadata, in the order in which they are looked at."""

BASE64 = re.compile(r"(?:/9j/|iVBORw0KGgo|R0lGOD|UklGR|Qk0|SUkq|TU0A)[A-Za-z0-9+/\s]{60,}={0,2}\s*")
"""Base64 of JPEG, PNG, GIF, WebP, BMP and TIFF, by their first bytes."""


def picture_in(metadata: Mapping[str, Any], key: str | None = None) -> Any:
    """Return the picture that metadata name or hold, else None.

    Parameters
    ----------
    metadata
        Of a document, with values of any type.
    key
        Where the picture is: every value there is one.  By default the first of `PICTURE_KEYS`
        whose value is a picture, or a string that names or is one.
    """
    if key is not None:
        found = metadata.get(key)
        return found if found != "" else None
    for each in PICTURE_KEYS:
        value = metadata.get(each)
        if is_picture(value):
            return value
    return None


def is_picture(value: object) -> bool:
    """Tell whether a value is a picture, or is surely meant to name one."""
    if isinstance(value, str):
        return is_encoded_picture(value) or names_picture(value)
    if isinstance(value, PurePath):
        return True
    return isinstance(value, Image.Image | bytes | bytearray) or hasattr(value, "__array__")


def names_picture(text: str) -> bool:
    """Tell whether a string is the path or the address of a picture, by its end."""
    if len(text) > 4096 or "\n" in text:
        return False
    return PurePath(text.partition("?")[0]).suffix.lower() in IMAGE_SUFFIXES


def is_encoded_picture(text: str) -> bool:
    """Tell whether a string is a picture itself: a data URI, or base64 of a known format."""
    return text.startswith("data:image/") or BASE64.fullmatch(text) is not None


def of_text(text: str) -> Any:
    """Return a string as a picture if it is or names one, else None."""
    if is_encoded_picture(text):
        return text
    return Path(text) if names_picture(text) else None


def decoded(content: str | bytes) -> Any:
    """Return base64 as bytes; what is not base64 stays as it is, for the reader to refuse."""
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return content
