"""How much of each patch a box covers, exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Grid:
    """The patches of a model's input, row by row from the top left.

    Parameters
    ----------
    rows, columns
        How many.
    covered
        The part of the input's width and height that they cover: less than 1 where the patch size
        does not divide the input size.
    """

    rows: int
    columns: int
    covered: tuple[float, float] = (1.0, 1.0)


def patch_coverage(boxes: ArrayLike, grid: Grid) -> NDArray[np.float64]:
    """Return the fraction of each patch's area that lies in each box.

    Parameters
    ----------
    boxes
        ``[n, 4]`` x0, y0, x1, y1 in [0, 1] of the model's input.
    grid
        Where the patches lie.

    Returns
    -------
    NDArray
        ``[n, rows · columns]`` in [0, 1].  Times the area of a patch they sum to the area of the
        box, as far as the grid covers it.
    """
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    width, height = grid.covered
    across = _overlaps(corners[:, 0], corners[:, 2], grid.columns, width)
    down = _overlaps(corners[:, 1], corners[:, 3], grid.rows, height)
    return (down[:, :, None] * across[:, None, :]).reshape(len(corners), grid.rows * grid.columns)


def _overlaps(
    low: NDArray[np.float64], high: NDArray[np.float64], parts: int, end: float
) -> NDArray[np.float64]:
    """Return ``[n, parts]``: which fraction of each of the equal parts of [0, end] is inside."""
    edges = np.linspace(0.0, end, parts + 1)
    inside = np.minimum(high[:, None], edges[1:]) - np.maximum(low[:, None], edges[:-1])
    return np.clip(inside / np.diff(edges), 0.0, 1.0)
