"""Which grid the tokens of a picture form: as their boxes say, else as their number does."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError, MissingFeatureError

Grid: TypeAlias = tuple[int, int]
"""Height and width in cells."""
CLOSE = 1e-4
"""Corners as near as this are those of one row or column of cells: boxes are float32, at times
float16."""


def grid_of_boxes(boxes: NDArray[np.floating[Any]]) -> Grid | None:
    """Return the grid that cells form which lie row by row, None where they do not.

    Parameters
    ----------
    boxes
        ``[L, 4]``: ``x0, y0, x1, y1``.
    """
    corners = np.asarray(boxes, np.float64)
    if not len(corners):
        return None
    same_row = np.abs(corners[:, 1] - corners[0, 1]) <= CLOSE
    width = len(corners) if same_row.all() else int(same_row.argmin())
    if len(corners) % width:
        return None
    cells = corners.reshape(-1, width, 4)
    in_columns = np.abs(cells[:, :, ::2] - cells[:1, :, ::2]).max() <= CLOSE
    in_rows = np.abs(cells[:, :, 1::2] - cells[:, :1, 1::2]).max() <= CLOSE
    rising = (np.diff(cells[0, :, 0]) > 0).all() and (np.diff(cells[:, 0, 1]) > 0).all()
    return cells.shape[:2] if in_columns and in_rows and rising else None


def square_of(count: int) -> Grid | None:
    """Return the square grid of so many cells, None where there is none."""
    side = math.isqrt(count)
    return (side, side) if side and side * side == count else None


def boxes_feature(images: cr.Collection, feature: str) -> str | None:
    """Return which feature says where the cells of another lie, None if there is none.

    It is ``token_boxes`` for tokens and for raw cells that are as many, else ``boxes`` for regions.
    """
    if "token_boxes" in images:
        lengths = images["token_boxes"].lengths
        if feature == "tokens" or np.array_equal(lengths, images[feature].lengths):
            return "token_boxes"
    return "boxes" if feature == "regions" and "boxes" in images else None


def read_grids(
    images: cr.Collection, rows: NDArray[np.int64], given: Grid | None, feature: str = "tokens"
) -> list[Grid | None]:
    """Return the grid of each picture: as it is given, by its cells' boxes, or a square.

    Parameters
    ----------
    images, rows
        The pictures, and which of them.
    given
        Height and width of all of them, if the caller knows.
    feature
        What holds the cells.

    Returns
    -------
    list
        None for a picture whose boxes are there and form no grid: its tokens are no cells.

    Raises
    ------
    InputError
        If a picture has not as many cells as the given grid, or as boxes.
    MissingFeatureError
        If there are no boxes, and the number of a picture's cells is no square.
    """
    lengths = images[feature].lengths[rows].tolist()
    if given is not None:
        for row, length in zip(rows.tolist(), lengths, strict=True):
            if length != given[0] * given[1]:
                raise InputError(
                    f"adamatch: the image {images.ids[row]!r} has {length} {feature}, no grid of "
                    f"{given[0]}×{given[1]}; give another grid, or none and token_boxes"
                )
        return [given] * len(lengths)
    boxes = boxes_feature(images, feature)
    if boxes is not None:
        return _by_boxes(images, rows, lengths, images[boxes])
    squares = [square_of(length) for length in lengths]
    if None in squares:
        at = squares.index(None)
        raise MissingFeatureError(
            f"adamatch: the image {images.ids[int(rows[at])]!r} has {lengths[at]} {feature}, which "
            "is no square grid, and there are no token_boxes; encode the images with the feature "
            "token_boxes, or give the parameter grid=[height, width]"
        )
    return list(squares)


def _by_boxes(
    images: cr.Collection, rows: NDArray[np.int64], lengths: list[int], boxes: cr.Ragged
) -> list[Grid | None]:
    known: dict[bytes, Grid | None] = {}
    grids: list[Grid | None] = []
    for row, length in zip(rows.tolist(), lengths, strict=True):
        corners = np.asarray(boxes[row])
        if len(corners) != length:
            raise InputError(
                f"adamatch: the image {images.ids[row]!r} has {length} cells but {len(corners)} "
                "boxes of them (token_boxes); encode it again"
            )
        key = corners.tobytes()  # most galleries have one grid, and checking it costs more
        if key not in known:
            known[key] = grid_of_boxes(corners)
        grids.append(known[key])
    return grids
