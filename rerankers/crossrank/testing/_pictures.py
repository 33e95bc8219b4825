"""Small pictures, the same on every machine."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((48, 32), (32, 48), (40, 40), (64, 24), (24, 56), (33, 47))
"""Width and height in pixels; no two pictures in a row have the same shape."""


def make_picture(number: int) -> Image.Image:
    """Return an RGB picture of a few coloured fields."""
    fields = np.random.default_rng(number).integers(0, 256, (3, 4, 3), np.uint8)
    size = SIZES[number % len(SIZES)]
    return Image.fromarray(fields).resize(size, Image.Resampling.BICUBIC)


@cache
def picture_file(number: int) -> Path:
    """Return a file that holds `make_picture` of a number, kept until the process ends."""
    path = _folder() / f"picture-{number}.png"
    make_picture(number).save(path)
    return path


@cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="crossrank-testing-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
