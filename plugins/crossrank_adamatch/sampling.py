"""Bilinear samples of a feature map within boxes, differentiable in both."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from crossrank.errors import InputError

POINTS = 3
"""Points of a box along each side: its corners, the middles of its edges and its centre."""


def sample(features: Tensor, boxes: Tensor) -> Tensor:
    """Sample a map at 3×3 points of each box (AdaMatch, ACL 2024).

    The points are the box's corners, the middles of its edges and its centre; those that lie
    outside the picture take the value of the border.  A map's first cell reaches from 0 to 1/W:
    its own value stands at its centre, and values between centres are bilinear.

    Parameters
    ----------
    features
        Float, ``[B, H, W, D]``.
    boxes
        Float, ``[B, P, 4]``: ``x0, y0, x1, y1`` in [0, 1] of the map.

    Returns
    -------
    Tensor
        ``[B, P, 9, D]``, the points row by row.

    Raises
    ------
    InputError
        If the shapes are others, or a map has no cell.
    """
    tensors = isinstance(features, Tensor) and isinstance(boxes, Tensor)
    if not tensors or features.ndim != 4 or boxes.ndim != 3 or boxes.shape[2] != 4:
        raise InputError(
            "sample: give tensors, features [B, H, W, D] and boxes [B, P, 4]; these are "
            f"{_shape(features)} and {_shape(boxes)}"
        )
    if len(features) != len(boxes) or 0 in features.shape[1:3]:
        raise InputError(
            f"sample: {len(boxes)} sets of boxes for {len(features)} maps of "
            f"{features.shape[1]}×{features.shape[2]} cells; give one for each, and at least a cell"
        )
    found = functional.grid_sample(
        features.permute(0, 3, 1, 2),
        2 * points(boxes.to(features.dtype)) - 1,
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return found.permute(0, 2, 3, 1)


def points(boxes: Tensor) -> Tensor:
    """Return ``[..., 9, 2]``: x and y of the 3×3 points of boxes ``[..., 4]``, row by row."""
    steps = torch.linspace(0, 1, POINTS, dtype=boxes.dtype, device=boxes.device)
    low, high = boxes[..., None, :2], boxes[..., None, 2:]
    along = low + (high - low) * steps[:, None]  # [..., 3, 2]
    x = along[..., None, :, 0].expand(*boxes.shape[:-1], POINTS, POINTS)
    y = along[..., :, None, 1].expand(*boxes.shape[:-1], POINTS, POINTS)
    return torch.stack([x, y], dim=-1).flatten(-3, -2)


def _shape(value: object) -> object:
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
