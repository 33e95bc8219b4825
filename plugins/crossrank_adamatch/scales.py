"""Windows of several scales over a grid of tokens: patches of other sizes, without training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import InputError
from crossrank.plugin.unit_rows import unit

Floats = NDArray[np.floating[Any]]


def windows(tokens: Floats, height: int, width: int, sizes: Sequence[int]) -> Floats:
    """Return the unit means of all windows of s×s cells, for each size s.

    Parameters
    ----------
    tokens
        ``[H·W, D]``: a token for each cell, row by row from the top left.
    height, width
        H and W, the cells of the grid.
    sizes
        How many cells a window is wide and high; its steps are one cell.

    Returns
    -------
    ndarray
        ``[Σ (H-s+1)·(W-s+1), D]`` float32, or float64 where the tokens are: sizes in the order
        given, the windows of each row by row.  A mean that vanishes stays zero.

    Raises
    ------
    InputError
        If the tokens are not as many as the cells, or a window is larger than the grid.
    """
    rows = np.asarray(tokens)
    chosen = _checked(sizes, height, width)
    if rows.ndim != 2 or rows.shape[0] != height * width or rows.dtype.kind not in "fiu":
        raise InputError(
            f"windows: the tokens are {rows.dtype} {rows.shape}; for {height}×{width} cells give "
            f"numbers [{height * width}, D]"
        )
    kind = np.float64 if rows.dtype == np.float64 else np.float32
    grid: Floats = rows.reshape(height, width, -1).astype(kind, copy=False)
    return unit(np.concatenate([_sums(grid, size).reshape(-1, grid.shape[2]) for size in chosen]))


def window_boxes(boxes: Floats, height: int, width: int, sizes: Sequence[int]) -> Floats:
    """Return where windows lie, in the order of `windows`.

    Parameters
    ----------
    boxes
        ``[H·W, 4]``: ``x0, y0, x1, y1`` of the cells, wherever in the picture the grid lies.
    height, width, sizes
        As there.

    Returns
    -------
    ndarray
        ``[Σ (H-s+1)·(W-s+1), 4]``: from the first cell's upper left to the last's lower right
        corner.

    Raises
    ------
    InputError
        As there.
    """
    cells = np.asarray(boxes)
    chosen = _checked(sizes, height, width)
    if cells.shape != (height * width, 4):
        raise InputError(
            f"window_boxes: the boxes are {cells.shape}; for {height}×{width} cells give "
            f"[{height * width}, 4]"
        )
    grid = cells.reshape(height, width, 4)
    found = []
    for size in chosen:
        first = grid[: height - size + 1, : width - size + 1, :2]
        last = grid[size - 1 :, size - 1 :, 2:]
        found.append(np.concatenate([first, last], axis=2).reshape(-1, 4))
    return np.concatenate(found)


def window_count(height: int, width: int, sizes: Sequence[int]) -> int:
    """Return how many windows there are."""
    return sum((height - size + 1) * (width - size + 1) for size in sizes)


def fitting(height: int, width: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the sizes of windows that are not larger than the grid."""
    return tuple(size for size in sizes if size <= min(height, width))


def _sums(grid: Floats, size: int) -> Floats:
    """Return ``[H-s+1, W-s+1, D]``: the sums over windows, first along columns, then along rows.

    Sums of few terms, not differences of sums over the whole grid, which would cancel in float32.
    """
    height, width = grid.shape[0] - size + 1, grid.shape[1] - size + 1
    down = grid[:height].copy()
    for step in range(1, size):
        down += grid[step : step + height]
    across = down[:, :width].copy()
    for step in range(1, size):
        across += down[:, step : step + width]
    return across


def _checked(sizes: Sequence[int], height: int, width: int) -> tuple[int, ...]:
    if height < 1 or width < 1:
        raise InputError(f"windows: a grid of {height}×{width} has no cell; give 1 or more")
    given = list(sizes) if isinstance(sizes, Iterable) else []
    if not given or not all(isinstance(size, Integral) and size >= 1 for size in given):
        raise InputError(f"windows: sizes are {sizes!r}; give one or more integers from 1")
    chosen = tuple(int(size) for size in given)
    if len(fitting(height, width, chosen)) < len(chosen):
        raise InputError(
            f"windows: a window of {max(chosen)}×{max(chosen)} cells is larger than the grid of "
            f"{height}×{width}; leave it out"
        )
    return chosen
