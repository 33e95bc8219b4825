"""The forms that pictures come in, read without opening them and without ever downloading.

=========================== =====================================================================
where nothing else is said   `Path`, bytes, a binary file, a PIL image, an array, a tensor of torch,
                             and a str that is the data URI of an image
said to be a picture         besides: a str with a path, a ``file://`` address, or base64
=========================== =====================================================================
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, Union
from urllib.parse import unquote_to_bytes, urlsplit

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import ImageError, InputError

if TYPE_CHECKING:
    from PIL import Image

Picture: TypeAlias = Union[Path, bytes, "Image.Image"]
"""What an `Item` holds: a file, the bytes of one, or an open image."""
PictureLike: TypeAlias = (
    Picture | str | os.PathLike[str] | bytearray | memoryview | BinaryIO | NDArray[Any]
)
"""What callers have; tensors of torch too, which is not imported for its type."""

DATA_URI = re.compile(r"data:(?P<kind>[\w.+-]+/[\w.+-]+)?(?P<more>(?:;[^,;\s]*)*),", re.IGNORECASE)
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
STARTS = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*"),
    *(b"\0\0\0\x0cjP", b"P5", b"P6"),
)
"""How files of pictures begin."""

CHANNELS = (1, 3, 4)


def as_picture(value: Any) -> Picture:
    """Return what is said to be a picture as a file, bytes, or an image in memory.

    Parameters
    ----------
    value
        A path (str or `Path`), a ``file://`` address, a data URI, base64, bytes, a binary file, a
        PIL image, an array ``[H, W]`` or ``[H, W, C]``, or a tensor ``[C, H, W]`` of torch; C is 1,
        3 or 4, integers are in 0…255 (uint16: 0…65535) and floats in 0…1.

    Raises
    ------
    InputError
        For an address on the net, since nothing is downloaded, or another type.
    ImageError
        For a data URI or base64 that is damaged, and an array that is no picture.
    """
    if isinstance(value, str):
        return _from_text(value)
    picture = as_plain_picture(value)
    if picture is None:
        raise InputError(
            f"a {type(value).__name__} is no picture; give a path, bytes, a binary file, a data "
            "URI, base64, a PIL image, an array or a tensor"
        )
    return picture


def as_plain_picture(value: Any) -> Picture | None:
    """Return what can only be a picture, see `as_picture`; None for any other type, such as str."""
    if isinstance(value, Path | bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        return from_data_uri(value)
    if isinstance(value, os.PathLike):
        return Path(os.fspath(value))
    from PIL import Image  # whoever has files and texts alone needs no Pillow for them

    if isinstance(value, Image.Image):
        return value
    if callable(getattr(value, "read", None)):
        return _from_file(value)
    if type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach"):
        return _from_array(_numbers(value), channels_first=True)
    if isinstance(value, np.ndarray) or hasattr(value, "__array_interface__"):
        return _from_array(np.asarray(value), channels_first=False)
    return None


def from_data_uri(text: str) -> bytes | None:
    """Return the bytes of an image's data URI, None where a text is none.

    One that is damaged, or of something else than an image, is refused.
    """
    match = DATA_URI.match(text.lstrip()[:300])
    if match is None:
        return None
    kind = (match["kind"] or "text/plain").lower()
    if not kind.startswith("image/"):
        raise InputError(f"a data URI of {kind} is no picture; give one of an image")
    content = text.lstrip()[match.end() :].strip()
    if ";base64" not in match["more"].lower():
        return unquote_to_bytes(content)
    image = _decoded(unquote_to_bytes(content).decode("ascii", "replace"))
    if image is None:
        raise ImageError(f"the data URI {text[:40]!r}… is damaged: its base64 cannot be decoded")
    return image


def looks_like(text: str) -> str:
    """Say what a text that was meant as a picture seems to be; empty where it is a text."""
    start = text.strip()
    if ADDRESS.fullmatch(start[:4096]):
        return "a file address" if start.lower().startswith("file:") else "an address"
    return "a picture in base64" if _is_picture(_head(start)) else ""


def _from_text(text: str) -> Picture:
    image = from_data_uri(text)
    if image is not None:
        return image
    stripped = text.strip()
    if not stripped:
        raise InputError("an empty str is no picture; leave it out")
    address = ADDRESS.fullmatch(stripped[:4096])
    if address and stripped.lower().startswith("file:"):
        parts = urlsplit(stripped)
        if parts.netloc not in ("", "localhost"):
            raise InputError(f"{stripped!r} lies on another machine; give a file of this one")
        from urllib.request import url2pathname  # which brings a client of HTTP

        return Path(url2pathname(parts.path))
    if address:
        raise InputError(
            f"{stripped!r:.80} is an address, and crossrank downloads nothing; fetch it and give "
            "its bytes or the path of the file"
        )
    if _is_picture(_head(stripped)):
        content = _decoded(stripped)
        if content is None:
            raise ImageError(f"{text[:40]!r}… is damaged: its base64 cannot be decoded")
        return content
    return Path(text)


def _head(text: str) -> bytes:
    """Return the first bytes of what may be base64."""
    start = re.sub(r"\s", "", text[:200])[:64]
    if len(text) < 64 or not BASE64.match(start):
        return b""
    return _decoded(start[: len(start) // 4 * 4]) or b""


def _is_picture(head: bytes) -> bool:
    known = head.startswith(STARTS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
    return known or head[4:8] == b"ftyp"


def _decoded(text: str) -> bytes | None:
    """Decode base64 of either alphabet, with or without padding and line ends."""
    joined = re.sub(r"\s", "", text).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(joined + "=" * (-len(joined) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _from_file(file: Any) -> bytes:
    """Return all of an open file, and leave it where it was."""
    if isinstance(file, io.BytesIO):
        return file.getvalue()
    try:
        place = file.tell() if file.seekable() else None
        if place is not None:
            file.seek(0)
        content = file.read()
        if place is not None:
            file.seek(place)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{file!r:.60} cannot be read as a picture: {error}") from error
    if not isinstance(content, bytes):
        close = getattr(content, "close", None)  # of a coroutine, which nobody would await
        if callable(close):
            close()
        raise InputError(
            f"{file!r:.60} is no open binary file; open it with mode 'rb', or give its bytes"
        )
    return content


def _numbers(tensor: Any) -> NDArray[Any]:
    """Return a tensor's numbers, wherever it lies and whatever it is part of."""
    plain = tensor.detach().cpu()
    return np.asarray((plain.float() if plain.is_floating_point() else plain).numpy())


def _from_array(array: NDArray[Any], channels_first: bool) -> Image.Image:
    what = f"an array of {array.dtype} {array.shape}"
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    first = array.ndim == 3 and array.shape[0] in CHANNELS
    last = array.ndim == 3 and array.shape[2] in CHANNELS
    if first and (channels_first or not last):
        array = np.moveaxis(array, 0, 2)
    elif array.ndim != 2 and not last:
        raise ImageError(
            f"{what} is no picture; give [H, W] or [H, W, C] with 1, 3 or 4 channels (features go "
            "into Item(embedding=…))"
        )
    if array.size == 0:
        raise ImageError(f"{what} has no pixels")
    pixels = _eight_bits(array, what)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(pixels))


def _eight_bits(array: NDArray[Any], what: str) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if array.dtype == np.uint16:
        return np.rint(array / 257.0).astype(np.uint8)
    if array.dtype.kind not in "iuf":
        raise ImageError(f"{what} is no picture; give uint8, or floats in 0…1")
    low, high = array.min(), array.max()
    top = 1 if array.dtype.kind == "f" else 255
    if not (low >= 0 and high <= top):
        raise ImageError(
            f"{what} goes from {low:g} to {high:g}; give the picture itself, uint8 or floats in "
            "0…1, not what was normalised for a model"
        )
    return np.rint(array * (255 / top)).astype(np.uint8)
