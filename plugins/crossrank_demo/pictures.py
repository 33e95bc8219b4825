"""The demo's pictures: found inside installed packages, and cut into crops."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from PIL import Image

import crossrank as cr
from crossrank.errors import ImageError, missing_package
from crossrank.report import Box
from crossrank_demo.scenes import Photograph


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
        whole = cr.open_image(locate(photograph))
        for crop in photograph.crops:
            path = folder / f"{crop.id.replace('/', '-')}.png"
            cut(whole, crop.box).save(path, compress_level=1)
            written[crop.id] = path
    return written
