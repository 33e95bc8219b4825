"""Pictures as a page holds them: small JPEGs inside the file itself."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from crossrank._items.images import open_image


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


def embed(path: Path, longest: int = 360, quality: int = 80) -> Picture:
    """Return a picture ready to stand inside a page.

    Parameters
    ----------
    path
        Its file.
    longest
        Pixels that its longer side may have; it is never enlarged.
    quality
        Of the JPEG, 1 to 95.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    image = open_image(path)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return Picture(data_uri(buffer.getvalue(), "image/jpeg"), image.width, image.height)


def data_uri(content: bytes, mime: str) -> str:
    """Return content as an address that needs no network."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"
