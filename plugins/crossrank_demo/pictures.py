"""The demo's pictures: found inside installed packages, cut into crops, embedded into the page."""

from __future__ import annotations

import base64
import importlib.util
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from crossrank._items.images import open_image
from crossrank.errors import ImageError, missing_package
from crossrank_demo.scenes import Box, Photograph

LONGEST = 360
"""Pixels of an embedded picture's longer side."""

QUALITY = 80


@dataclass(frozen=True, slots=True)
class Picture:
    """A crop as the page shows it.

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


def locate(photograph: Photograph) -> Path:
    """Return where a photograph lies, without importing the package that brings it.

    Raises
    ------
    MissingPackageError
        If that package is not installed.
    ImageError
        If its version does not bring the file.
    """
    found = importlib.util.find_spec(photograph.package)
    if found is None or not found.submodule_search_locations:
        raise missing_package(photograph.package, extra="demo", purpose="the demo")
    path = Path(found.submodule_search_locations[0], photograph.file)
    if not path.is_file():
        raise ImageError(
            f"the installed {photograph.package} does not bring {photograph.file}; "
            'pip install --force-reinstall "crossrank[demo]"'
        )
    return path


def cut(image: Image.Image, box: Box) -> Image.Image:
    """Return a part of a picture, at least one pixel wide and high.

    Parameters
    ----------
    image
        The whole picture.
    box
        ``x0, y0, x1, y1`` in [0, 1]; edges are rounded to whole pixels.
    """
    left, upper = round(box[0] * image.width), round(box[1] * image.height)
    right = max(left + 1, round(box[2] * image.width))
    lower = max(upper + 1, round(box[3] * image.height))
    return image.crop((left, upper, right, lower))


def write_crops(photographs: tuple[Photograph, ...], folder: Path) -> dict[str, Path]:
    """Cut every crop into a PNG file of its own.

    Returns
    -------
    dict
        The files by crop id, in the order of the photographs.
    """
    written: dict[str, Path] = {}
    for photograph in photographs:
        whole = open_image(locate(photograph))
        for crop in photograph.crops:
            path = folder / f"{crop.id.replace('/', '-')}.png"
            cut(whole, crop.box).save(path, compress_level=1)
            written[crop.id] = path
    return written


def embed(path: Path) -> Picture:
    """Return a picture scaled to at most `LONGEST` pixels, ready to stand inside a page."""
    image = open_image(path)
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return Picture(data_uri(buffer.getvalue(), "image/jpeg"), image.width, image.height)


def data_uri(content: bytes, mime: str) -> str:
    """Return content as an address that needs no network."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"
