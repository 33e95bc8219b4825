"""Pictures as a page holds them: small JPEGs inside the file itself."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from crossrank._items.images import open_image
from crossrank._items.provenance import ALLOWED, may_show
from crossrank.errors import ImageError


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a page shows it.

    Parameters
    ----------
    uri
        The JPEG as a ``data:`` address.
    width, height
        In pixels, as embedded.
    """

    uri: str
    width: int
    height: int


def embed(path: str | Path, longest: int = 360, quality: int = 80) -> Picture:
    """Return a picture ready to stand inside a page.

    Parameters
    ----------
    path
        Its file, as the collection has it: see `may_show`.
    longest
        Pixels that its longer side may have; it is never enlarged.
    quality
        Of the JPEG, 1 to 95.

    Raises
    ------
    ImageError
        If it cannot be read, or a page may not show it.
    """
    if not may_show(path):
        raise not_shown(path)
    image = open_image(Path(path))
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return Picture(data_uri(buffer.getvalue(), "image/jpeg"), image.width, image.height)


def not_shown(path: str | Path) -> ImageError:
    """Return the error for a picture that a page may not show."""
    return ImageError(
        f"{str(path)!r} is named by a collection that was not written here; to show it, name its "
        f"folder in {ALLOWED}"
    )


def data_uri(content: bytes, mime: str) -> str:
    """Return content as an address that needs no network."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"
