"""How much of each patch a box covers: exactly, or as the authors' code has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank.errors import InputError

NEARLY = 1e-3
"""Of a pixel: a corner on a pixel's edge stays on it, although float32 cannot say so."""


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
    input_size
        Height and width of the input in pixels, where the model tells.
    """

    rows: int
    columns: int
    covered: tuple[float, float] = (1.0, 1.0)
    input_size: tuple[int, int] | None = None


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


def reference_coverage(boxes: ArrayLike, grid: Grid) -> NDArray[np.float64]:
    """Return the weights that the released code gives the patches of each box.

    It cuts the corners to whole pixels, draws the box as a mask of ones, and shrinks the mask to
    the patches by bilinear interpolation without antialias: a patch sees two pixels each way.

    Parameters
    ----------
    boxes, grid
        See `patch_coverage`; the grid knows its input's size.

    Raises
    ------
    InputError
        If it does not.
    """
    if grid.input_size is None:
        raise InputError(
            "qperturb: coverage='reference' draws boxes in pixels, but the model does not tell how "
            "large its input is; leave coverage out"
        )
    height, width = grid.input_size
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    pixels = np.floor(corners * [width, height, width, height] + NEARLY)
    across = _shrunk(pixels[:, 0], pixels[:, 2], width, grid.columns)
    down = _shrunk(pixels[:, 1], pixels[:, 3], height, grid.rows)
    return (down[:, :, None] * across[:, None, :]).reshape(len(corners), grid.rows * grid.columns)


def _shrunk(
    low: NDArray[np.float64], high: NDArray[np.float64], size: int, parts: int
) -> NDArray[np.float64]:
    """Return ``[n, parts]``: a row of pixels, 1 from low to before high, interpolated linearly."""
    places = np.arange(size)
    mask = (places >= low[:, None]) & (places < high[:, None])
    centres = np.maximum((np.arange(parts) + 0.5) * (size / parts) - 0.5, 0.0)
    before = np.floor(centres).astype(np.int64)
    after = np.minimum(before + 1, size - 1)
    share = centres - before
    return np.asarray(mask[:, before] * (1 - share) + mask[:, after] * share)


def _overlaps(
    low: NDArray[np.float64], high: NDArray[np.float64], parts: int, end: float
) -> NDArray[np.float64]:
    """Return ``[n, parts]``: which fraction of each of the equal parts of [0, end] is inside."""
    edges = np.linspace(0.0, end, parts + 1)
    inside = np.minimum(high[:, None], edges[1:]) - np.maximum(low[:, None], edges[:-1])
    return np.clip(inside / np.diff(edges), 0.0, 1.0)
