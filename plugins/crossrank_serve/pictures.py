"""Pictures as clients send them: base64 to bytes, bytes to pixels, each within its limits."""

from __future__ import annotations

import base64
import binascii
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote_to_bytes

from PIL import Image

import crossrank as cr
from crossrank_serve.limits import Limits
from crossrank_serve.problems import RequestError, invalid, too_large

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO", "AVIF")
"""What is decoded, whatever a data URI says: formats of the web, no interpreters."""

DATA_URI = re.compile(r"data:(?P<type>[^;,]*)(?P<options>(?:;[^;,]*)*),", re.IGNORECASE)


def is_remote(reference: str) -> bool:
    """Tell whether a picture is given by an address; ``file:`` and others are addresses too."""
    head, colon, _ = reference[:32].partition(":")
    return bool(colon) and head.strip().lower() != "data" and head.strip().isascii()


def picture_bytes(name: str, reference: str, limits: Limits) -> bytes:
    """Return the file that a data URI or bare base64 holds.

    Raises
    ------
    RequestError
        422 for what is neither, 413 for what is too large.
    """
    if len(reference) > limits.picture_bytes * 4 // 3 + 256:
        raise too_large(f"{name} has more than {limits.picture_bytes:,} bytes; send a smaller one")
    payload = reference
    if reference[:5].lower() == "data:":
        found = DATA_URI.match(reference)
        if found is None:
            raise invalid(f"{name} is no data URI; write data:image/jpeg;base64,…")
        if not found["type"].lower().startswith("image/"):
            raise invalid(f"{name} is a data URI of {found['type'][:40]!r}; send image/…")
        payload = reference[found.end() :]
        if ";base64" not in found["options"].lower():
            return _within(name, unquote_to_bytes(payload), limits)
    try:
        data = base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError):
        raise invalid(
            f"{name} is neither a data URI nor base64; send one, or words as text"
        ) from None
    return _within(name, data, limits)


def open_picture(name: str, data: bytes, limits: Limits) -> Image.Image:
    """Return the picture that a file holds, as 8-bit RGB, upright.

    Its size is read from the header: one that is too large is never decoded.

    Raises
    ------
    RequestError
        422 for what is no picture, or a damaged one; 413 for too many pixels.
    """
    with _opened(name, data, limits) as image:
        return cr.open_image(image)


def pixels_of(name: str, data: bytes, limits: Limits) -> int:
    """Return how many pixels a picture has, by its header; raises as `open_picture`."""
    with _opened(name, data, limits) as image:
        return image.width * image.height


@contextmanager
def _opened(name: str, data: bytes, limits: Limits) -> Iterator[Image.Image]:
    """Read a picture's header, and make of all that goes wrong from then on one answer."""
    try:
        with warnings.catch_warnings():
            # the limit is our own, and a warning a picture would be a log that clients write
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_readable()) as image:
                if image.width * image.height > limits.pixels:
                    raise too_large(
                        f"{name} has {image.width}×{image.height} pixels, more than "
                        f"{limits.pixels:,}; make it smaller"
                    )
                yield image
    except RequestError:
        raise
    except Image.DecompressionBombError:
        raise too_large(f"{name} has too many pixels; make it smaller") from None
    except MemoryError:
        raise too_large(f"{name} does not fit in memory; make it smaller") from None
    except Exception:  # decoders raise whatever they stumble over
        raise invalid(
            f"{name} is damaged or no picture of {', '.join(FORMATS)}; send another"
        ) from None


def _readable() -> list[str]:
    Image.init()
    return [each for each in FORMATS if each in Image.OPEN]


def _within(name: str, data: bytes, limits: Limits) -> bytes:
    if not data:
        raise invalid(f"{name} is empty; send a picture, or leave it out")
    if len(data) > limits.picture_bytes:
        raise too_large(
            f"{name} has {len(data):,} bytes, more than {limits.picture_bytes:,}; "
            "send a smaller one"
        )
    return data
