"""What boxes must be before anything is computed from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank.errors import InputError

ROUNDING = 1e-5
"""By how much a box may lie outside: float32 arithmetic of those who made it."""

MOST_BOXES = 100
"""Boxes per image unless another limit is given; each costs an eigendecomposition per head."""


def checked_boxes(
    boxes: Iterable[ArrayLike],
    images: int,
    most: int = MOST_BOXES,
    names: Sequence[str] | None = None,
) -> list[NDArray[np.float64]]:
    """Return the boxes of each image as ``[n, 4]`` float64, clipped by what rounding explains.

    Parameters
    ----------
    boxes
        Per image ``[n, 4]`` x0, y0, x1, y1 in [0, 1]; an empty array for no boxes.
    images
        How many images there are.
    most
        How many boxes an image may have.
    names
        What errors call the images; their numbers by default.

    Raises
    ------
    InputError
        Naming image and box: for another number of images, another shape, NaN, pixels, a box
        outside the image, a reversed one, or too many.  A box of no area is allowed.
    """
    lists = [
        _checked(f"image {number if names is None else repr(names[number])}", given, most)
        for number, given in enumerate(boxes)
    ]
    if len(lists) != images:
        raise InputError(
            f"qperturb: {len(lists)} lists of boxes for {images} images; give one array [n, 4] per "
            "image, empty for an image without boxes"
        )
    return lists


def areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the areas of ``[n, 4]`` boxes."""
    area: NDArray[np.float64] = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return area


def _checked(image: str, given: Any, most: int) -> NDArray[np.float64]:
    try:
        boxes = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"qperturb: the boxes of {image} are no numbers: {error}") from error
    if boxes.size == 0:
        return np.zeros((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(
            f"qperturb: the boxes of {image} have shape {list(boxes.shape)}; give [n, 4]"
        )
    if len(boxes) > most:
        raise InputError(
            f"qperturb: {image} has {len(boxes)} boxes, the limit is {most}; keep the best "
            "(top_n), or raise most_boxes"
        )
    if not np.isfinite(boxes).all():
        _refuse(image, boxes, ~np.isfinite(boxes).all(axis=1), "is not finite; leave it out")
    outside = ((boxes < -ROUNDING) | (boxes > 1 + ROUNDING)).any(axis=1)
    if outside.any():
        mend = "divide by its width and height" if boxes.max() > 2 else "clip it"
        _refuse(image, boxes, outside, f"leaves [0, 1], the parts of the image; {mend}")
    reversed = (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    if reversed.any():
        _refuse(image, boxes, reversed, "is reversed; give x0, y0, x1, y1 with x0 ≤ x1, y0 ≤ y1")
    return np.clip(boxes, 0.0, 1.0)


def _refuse(image: str, boxes: NDArray[np.float64], wrong: Any, what: str) -> None:
    box = int(np.flatnonzero(wrong)[0])
    corners = ", ".join(f"{corner:g}" for corner in boxes[box])
    raise InputError(f"qperturb: box {box} of {image}, ({corners}), {what}")
