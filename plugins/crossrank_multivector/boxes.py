"""Where the image tokens of each family lie in the original picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank.plugin.parts import grid_boxes

Boxes = NDArray[np.float32]


def image_boxes(family: str, processor: Any, inputs: Any, size: tuple[int, int]) -> Boxes:
    """Return the boxes of a picture's image tokens, in their order.

    Parameters
    ----------
    family, processor
        See `crossrank_multivector.checkpoint.Loaded`.
    inputs
        What the processor made of the picture.
    size
        Of the original, width and height.

    Returns
    -------
    NDArray
        ``[n, 4]`` float32 ``x0, y0, x1, y1`` in [0, 1] of the original picture.
    """
    if family == "colqwen2":
        _, rows, columns = inputs["image_grid_thw"][0].tolist()
        merge = processor.image_processor.merge_size
        return grid(rows // merge, columns // merge)
    if family == "colpali":
        side = round(processor.image_seq_length**0.5)
        return grid(side, side)
    width, height = size
    rows, columns = tiles(processor.image_processor, height, width)
    side = round(processor.image_seq_len**0.5)
    return tiled(rows, columns, side)


def tiles(pictures: Any, height: int, width: int) -> tuple[int, int]:
    """Return into how many rows and columns of tiles Idefics3 cuts a picture, 0 for not at all."""
    if not pictures.do_image_splitting:
        return 0, 0
    _, rows, columns = pictures.get_number_of_image_patches(height, width, {})
    one = (rows, columns) in ((0, 0), (1, 1))
    return (0, 0) if one else (int(rows), int(columns))


def tiled(rows: int, columns: int, side: int) -> Boxes:
    """Return the boxes of tiles, row by row, each a grid of its own, and of the whole at last.

    Parameters
    ----------
    rows, columns
        Of the tiles; 0 for the whole alone.
    side
        Each tile has ``side × side`` tokens.
    """
    inner = grid(side, side)
    parts = []
    for x0, y0, x1, y1 in grid(rows, columns).tolist():
        scale = np.array([x1 - x0, y1 - y0, x1 - x0, y1 - y0], np.float32)
        parts.append(inner * scale + np.array([x0, y0, x0, y0], np.float32))
    boxes: Boxes = np.minimum(np.concatenate([*parts, inner]), np.float32(1))
    return boxes


def grid(rows: int, columns: int) -> Boxes:
    """Return the boxes of a grid over the whole picture, row by row from the top left."""
    return grid_boxes(rows, columns).astype(np.float32)
