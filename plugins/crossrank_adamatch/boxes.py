"""Where adaptive patches lie: four numbers per cell of a grid, read as a box in the picture."""

from __future__ import annotations

import torch
from torch import Tensor

from crossrank.errors import InputError


def patch_boxes(offsets: Tensor, height: int, width: int) -> Tensor:
    """Return the boxes that offsets give to the cells of a grid (AdaMatch, ACL 2024).

    With c the centre of a cell: ``dx = tanh(o₀)/W``, ``dy = tanh(o₁)/H``,
    ``dw = relu(tanh(o₂))/W``, ``dh = relu(tanh(o₃))/H`` and ``box = c + (dx, dy) ∓ (dw, dh)``,
    clamped to the picture.  So a centre moves by less than a cell, and a box is less than two cells
    wide and high; zero offsets give the centre as a box without extent.

    Parameters
    ----------
    offsets
        Float, ``[..., H·W, 4]``: o of every cell, row by row from the top left.  They are final: a
        network's bias is in them.
    height, width
        H and W, the cells of the grid.

    Returns
    -------
    Tensor
        ``[..., H·W, 4]``: ``x0, y0, x1, y1`` in [0, 1], of the offsets' type.

    Raises
    ------
    InputError
        If the offsets are not four floats for each cell.
    """
    if height < 1 or width < 1:
        raise InputError(f"patch_boxes: a grid of {height}×{width} has no cell; give 1 or more")
    fits = isinstance(offsets, Tensor) and offsets.is_floating_point()
    if not fits or offsets.shape[-2:] != (height * width, 4):
        found = tuple(offsets.shape) if hasattr(offsets, "shape") else type(offsets).__name__
        raise InputError(
            f"patch_boxes: the offsets are {found}; for {height}×{width} cells give a tensor of "
            f"floats [..., {height * width}, 4]"
        )
    cells = offsets.new_tensor([width, height])
    steps = offsets.tanh() / cells.repeat(2)
    centres = cell_centres(height, width).to(offsets) + steps[..., :2]
    half = steps[..., 2:].relu()
    return torch.cat([centres - half, centres + half], dim=-1).clamp(0, 1)


def cell_centres(height: int, width: int) -> Tensor:
    """Return ``[H·W, 2]`` float64: x and y of the cells' centres, row by row."""
    y, x = torch.meshgrid(
        (torch.arange(height, dtype=torch.float64) + 0.5) / height,
        (torch.arange(width, dtype=torch.float64) + 0.5) / width,
        indexing="ij",
    )
    return torch.stack([x, y], dim=-1).flatten(0, 1)
