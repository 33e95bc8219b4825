"""Opening pictures safely: whatever the file, an 8-bit RGB image or one clear error."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from stat import S_ISREG

import numpy as np
from PIL import Image, UnidentifiedImageError

from crossrank._items.pictures import Picture, PictureLike, as_picture
from crossrank.errors import ImageError

MAX_PIXELS = 150_000_000
"""Larger pictures are refused before they are decoded."""

FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000", "MPO"),
    *("TGA", "ICO", "PCX", "SGI"),
)
"""Raster formats, whatever the file's name: Pillow would start Ghostscript for PostScript."""

ROWS = 256
"""Of pixels that are scaled together."""

AT_ONCE = 1 << 24
"""Files of at most so many bytes are read whole: Pillow asks for a few at a time."""

ORIENTATION = 0x0112
"""The one EXIF tag that matters."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a picture of each orientation is turned."""


def open_image(source: PictureLike) -> Image.Image:
    """Return a picture as 8-bit RGB, upright.

    EXIF orientation is applied, 16-bit greys are scaled to 8 bits, transparency is laid on white,
    and of an animation the first frame is taken.

    Parameters
    ----------
    source
        A path, bytes, a binary file, a data URI, base64, an array, a tensor, or an open image,
        which is left as it is; see `crossrank._items.pictures.as_picture`.

    Raises
    ------
    ImageError
        If the file is missing, empty, truncated or no picture, or has more than `MAX_PIXELS`.
    InputError
        For what is no picture at all, such as an address on the net.
    """
    picture = as_picture(source)
    if isinstance(picture, Image.Image):
        _refuse_size(picture, "the image")
        with _named("the image"):
            return _to_rgb(picture, "the image")
    name = _name(picture, "")
    with _opened(picture, name, whole=True) as image, _named(name):
        return _to_rgb(image, name)


def check_image(picture: Picture, owner: str = "") -> None:
    """Refuse, from the header alone, what cannot be a picture or is too large.

    `owner` is whose it is, for messages about pictures that have no path.  Damage behind the header
    shows only when it is decoded.
    """
    name = _name(picture, owner)
    if isinstance(picture, Image.Image):
        _refuse_size(picture, name)
        return
    with _opened(picture, name):
        pass


def _name(picture: Picture, owner: str) -> str:
    if isinstance(picture, Path):
        return str(picture)
    what = "the picture in bytes" if isinstance(picture, bytes) else "the image"
    return f"{what} of {owner}" if owner else what


@contextmanager
def _opened(picture: Path | bytes, name: str, whole: bool = False) -> Iterator[Image.Image]:
    if isinstance(picture, Path):
        try:
            found = picture.stat()
        except (OSError, ValueError):  # also: a name too long, or with a NUL
            found = None
        if found is None or not S_ISREG(found.st_mode):
            raise ImageError(f"{name} is not a file; check the path of the picture")
        size = found.st_size
    else:
        size = len(picture)
    if size == 0:
        raise ImageError(f"{name} is empty (zero bytes); replace it or leave it out")
    with _named(name):
        source: io.BufferedIOBase
        if isinstance(picture, bytes):
            source = io.BytesIO(picture)
        elif whole and size <= AT_ONCE:
            with picture.open("rb", buffering=0) as file:
                source = io.BytesIO(file.read(size))
        else:
            source = _File(picture)
    with source:
        with warnings.catch_warnings(), _named(name):
            # we have a limit of our own, below
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(source, formats=_readable())
        with image:
            _refuse_size(image, name)
            yield image


class _File(io.BufferedReader):
    """A file that is never asked for more than it has: room for it would be made first."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        """As of any file."""
        if size is None or size < 0:
            return super().read()
        return super().read(min(size, max(0, self.size - self.tell())))


def _refuse_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} has {width}×{height} pixels, more than {MAX_PIXELS:,}; make it smaller first"
        )
    if width * height == 0:
        raise ImageError(f"{name} has no pixels")


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name} has more than {MAX_PIXELS:,} pixels; make it smaller first"
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is not a picture; replace it or leave it out") from error
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # decoders raise whatever they stumble over
        said = str(error) or type(error).__name__
        raise ImageError(f"{name} is damaged: {said}; replace it or leave it out") from error


@cache
def _readable() -> list[str]:
    """Return those of `FORMATS` that the installed Pillow reads."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if getattr(image, "is_animated", False) and image.tell() != 0:
        image = image.copy()
    image.load()
    turn = UPRIGHT.get(_orientation(image))
    upright = image if turn is None else image.transpose(turn)
    if upright.mode == "RGB":
        return upright.copy() if upright is image else upright
    if upright.mode.startswith("I"):
        return _from_integers(upright)
    if upright.mode == "F":
        raise ImageError(
            f"{name} holds floating-point values, which have no fixed range; save it as 8-bit"
        )
    if upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return upright.convert("RGB")


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; metadata that cannot be read is no reason to refuse pixels."""
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # TypeError, ZeroDivisionError, struct.error and others, by the damage
        return 1
    return orientation if isinstance(orientation, int) else 1


def _from_integers(image: Image.Image) -> Image.Image:
    """Scale greys of 16 bits, which Pillow would clip at 255, to 8 bits.

    The range is that of the type, not of the picture: a dark one stays dark.  Values of 32 bits
    that go beyond 16 are scaled by their largest.
    """
    values = np.asarray(image)
    scale = 255.0 / max(65535.0, float(values.max(initial=0)))
    grey = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), ROWS):  # in float64 all at once would take gigabytes
        part = slice(row, row + ROWS)
        grey[part] = np.clip(np.rint(values[part] * scale), 0, 255)
    return Image.fromarray(grey).convert("RGB")
