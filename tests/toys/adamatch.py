"""Pictures whose tokens form grids, and naive loops that say what adamatch must give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.testing import make_collection

Floats = NDArray[np.floating[Any]]
GRIDS = ((1, 1), (2, 3), (3, 3), (4, 2), (1, 4), (3, 5), (2, 2))


def cell_boxes(height: int, width: int) -> Floats:
    """Return where the cells of a grid over the whole picture lie."""
    return np.array(
        [
            [column / width, row / height, (column + 1) / width, (row + 1) / height]
            for row in range(height)
            for column in range(width)
        ],
        np.float32,
    )


def pictures(
    count: int = 7, grids: Sequence[tuple[int, int]] = GRIDS, seed: int = 1, dim: int = 16
) -> cr.Collection:
    """Return pictures whose tokens form grids of several shapes."""
    rng = np.random.default_rng(seed)
    shapes = [grids[row % len(grids)] for row in range(count)]
    tokens = [unit(rng.normal(size=(h * w, dim))).astype(np.float32) for h, w in shapes]
    return make_collection("image", count, seed=seed).with_features(
        tokens=cr.Ragged.from_list(tokens),
        token_boxes=cr.Ragged.from_list([cell_boxes(*shape) for shape in shapes]),
    )


def unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Floats = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return scaled


def naive_windows(tokens: Floats, height: int, width: int, sizes: Sequence[int]) -> Floats:
    """Average window by window, in float64."""
    grid = np.asarray(tokens, np.float64).reshape(height, width, -1)
    means = [
        grid[row : row + size, column : column + size].mean(axis=(0, 1))
        for size in sizes
        for row in range(height - size + 1)
        for column in range(width - size + 1)
    ]
    return unit(np.array(means))


def naive_sample(features: Floats, boxes: Floats) -> Floats:
    """Interpolate point by point: ``[H, W, D]`` and ``[P, 4]`` give ``[P, 9, D]``."""
    height, width, dim = features.shape
    found = np.zeros((len(boxes), 9, dim))
    for patch, (x0, y0, x1, y1) in enumerate(boxes):
        for point in range(9):
            down, along = divmod(point, 3)
            x = (x0 + (x1 - x0) * along / 2) * width - 0.5
            y = (y0 + (y1 - y0) * down / 2) * height - 0.5
            x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
            left, top = min(int(x), max(width - 2, 0)), min(int(y), max(height - 2, 0))
            right, below = min(left + 1, width - 1), min(top + 1, height - 1)
            a, b = x - left, y - top
            found[patch, point] = (
                (1 - a) * (1 - b) * features[top, left]
                + a * (1 - b) * features[top, right]
                + (1 - a) * b * features[below, left]
                + a * b * features[below, right]
            )
    return found


def naive_boxes(offsets: Floats, height: int, width: int) -> Floats:
    """Read one cell's four numbers after the other: ``[H·W, 4]`` gives ``[H·W, 4]``."""
    found = np.zeros((height * width, 4))
    for cell, (o0, o1, o2, o3) in enumerate(offsets):
        row, column = divmod(cell, width)
        x = (column + 0.5) / width + np.tanh(o0) / width
        y = (row + 0.5) / height + np.tanh(o1) / height
        w, h = max(np.tanh(o2), 0) / width, max(np.tanh(o3), 0) / height
        found[cell] = [x - w, y - h, x + w, y + h]
    return np.clip(found, 0, 1)


def naive_score(asked: Floats, listed: Floats) -> float:
    """Return the mean over the asked tokens of their best product with a listed one."""
    return float(np.mean([max(float(a @ b) for b in listed) for a in asked]))
