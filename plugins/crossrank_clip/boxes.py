"""Where each patch lies in the original picture, whatever the image processor did to it.

Boxes are float ``x0, y0, x1, y1`` in parts of a frame's width and height; `place` carries them
from a frame to the one around it: patches → what the model sees → the original picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crossrank import Ragged

Box: TypeAlias = tuple[float, float, float, float]

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)

LONGEST = 8
"""A picture longer than this many times its short side is cut before a centre crop."""


def seen_window(width: int, height: int, processor: Any) -> Box:
    """Return the part of a picture that an image processor leaves for the model.

    Parameters
    ----------
    width, height
        Of the picture, in pixels.
    processor
        A CLIP or SigLIP image processor of transformers: resizing to a fixed size or to a shortest
        edge, then maybe a centre crop, as its attributes say.

    Returns
    -------
    Box
        Beyond 0 and 1 where a crop larger than the picture is padded.
    """
    crop = processor.crop_size if getattr(processor, "do_center_crop", False) else None
    if crop is None:
        return WHOLE
    wide, high = resized(width, height, processor)
    left = (wide - crop["width"]) // 2
    top = (high - crop["height"]) // 2
    return (
        left / wide,
        top / high,
        (left + crop["width"]) / wide,
        (top + crop["height"]) / high,
    )


def crops_ends(processor: Any) -> bool:
    """Tell whether the ends of a long picture are resized only to be cropped away."""
    return bool(
        getattr(processor, "do_center_crop", False)
        and processor.do_resize
        and "shortest_edge" in dict(processor.size)
    )


def shorten(picture: Image.Image, cropped: bool) -> tuple[Image.Image, Box]:
    """Cut the ends off a very long picture, which a centre crop would drop after resizing.

    Resizing the short side of a 1×5000 picture to 224 would make a million columns first.

    Parameters
    ----------
    picture
        Of any size.
    cropped
        Whether its ends will be cropped away; else it stays whole.

    Returns
    -------
    tuple
        The picture, and its box in the original.
    """
    width, height = picture.size
    most = LONGEST * min(width, height)
    if max(width, height) <= most or not cropped:
        return picture, WHOLE
    left, top = max(0, (width - most) // 2), max(0, (height - most) // 2)
    right, bottom = min(width, left + most), min(height, top + most)
    frame = (left / width, top / height, right / width, bottom / height)
    return picture.crop((left, top, right, bottom)), frame


def place(boxes: NDArray[Any], frame: Box) -> NDArray[Any]:
    """Carry boxes from a frame to what the frame itself is a part of.

    Parameters
    ----------
    boxes
        ``[N, 4]``.
    frame
        The frame's own box.
    """
    x0, y0, x1, y1 = frame
    scale = np.array([x1 - x0, y1 - y0, x1 - x0, y1 - y0])
    moved: NDArray[Any] = boxes * scale + np.array([x0, y0, x0, y0])
    return moved


def original_boxes(
    grids: Iterable[NDArray[Any]], windows: Iterable[Box], frames: Iterable[Box]
) -> Ragged:
    """Carry the patches of pictures to the originals.

    Parameters
    ----------
    grids
        Per picture the boxes of its patches in what the model sees.
    windows, frames
        Per picture what the model sees in its frame, and the frame in the original.
    """
    placed = (
        place(place(grid, window), frame)
        for grid, window, frame in zip(grids, windows, frames, strict=True)
    )
    return Ragged.from_list([np.clip(each, 0.0, 1.0).astype(np.float32) for each in placed])


def resized(width: int, height: int, processor: Any) -> tuple[int, int]:
    """Return width and height after resizing, rounded as transformers does.

    Parameters
    ----------
    width, height, processor
        As for `seen_window`.
    """
    if not processor.do_resize:
        return width, height
    size = dict(processor.size)
    if "shortest_edge" not in size:
        return int(size["width"]), int(size["height"])
    short = int(size["shortest_edge"])
    if width <= height:
        return short, int(short * height / width)
    return int(short * width / height), short
