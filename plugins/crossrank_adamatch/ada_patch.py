"""Adaptive patches: a token for each cell of a grid, from a box that the cell itself chooses."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossrank_adamatch.boxes import patch_boxes
from crossrank_adamatch.sampling import POINTS, sample

HALF_CELL = math.log(5 / 3) / 2
"""The bias that gives boxes of half a cell: its tanh is a quarter."""


class AdaPatch(nn.Module):
    """Predicts a box for each cell of a feature map, and samples the map within it.

    The offsets come from a convolution, layer norm, GELU and a linear map that starts at zero, so
    that at first every box is half its cell; the 3×3 samples of a box are joined by a linear map
    and layer norm (AdaMatch, ACL 2024).  Any grid H×W will do, and any map.

    Parameters
    ----------
    features, out
        Sizes of a cell's feature and of an adaptive token.
    hidden
        Channels between the convolution and the offsets.
    kernel
        Cells that the convolution sees along each side, odd; 1 for the cell alone.
    fixed
        Whether the boxes stay as they start: the control, to which adaptive boxes are compared.
    """

    def __init__(
        self, features: int, out: int, *, hidden: int = 64, kernel: int = 3, fixed: bool = False
    ) -> None:
        super().__init__()
        self.fixed = fixed
        self.see = nn.Conv2d(features, hidden, kernel, padding=kernel // 2)
        self.norm = nn.LayerNorm(hidden)
        self.choose = nn.Linear(hidden, 4)
        nn.init.zeros_(self.choose.weight)
        with torch.no_grad():
            self.choose.bias.copy_(torch.tensor([0.0, 0.0, HALF_CELL, HALF_CELL]))
        self.join = nn.Linear(POINTS * POINTS * features, out)
        self.join_norm = nn.LayerNorm(out)
        if fixed:
            for part in (self.see, self.norm, self.choose):
                part.requires_grad_(False)

    def offsets(self, features: Tensor) -> Tensor:
        """Return ``[B, H·W, 4]``, the bias included."""
        count, height, width, _ = features.shape
        if self.fixed:
            return self.choose.bias.expand(count, height * width, 4)
        seen = self.see(features.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        found: Tensor = self.choose(functional.gelu(self.norm(seen))).flatten(1, 2)
        return found

    def sampled(self, features: Tensor, chosen: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the samples ``[B, P, 9, features]`` of the boxes, and these; see `forward`."""
        boxes = patch_boxes(self.offsets(features), features.shape[1], features.shape[2])
        if chosen is not None:
            boxes = boxes[:, chosen]
        return sample(features, boxes), boxes

    def joined(self, samples: Tensor) -> Tensor:
        """Return the adaptive tokens ``[B, P, out]`` of samples."""
        tokens: Tensor = self.join_norm(self.join(samples.flatten(2)))
        return tokens

    def forward(self, features: Tensor, chosen: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the adaptive tokens and their boxes.

        Parameters
        ----------
        features
            Float, ``[B, H, W, features]``.
        chosen
            ``[P]`` the cells, of the H·W, whose tokens are wanted; None for all.

        Returns
        -------
        tokens, boxes
            ``[B, P, out]`` and ``[B, P, 4]``: ``x0, y0, x1, y1`` in [0, 1] of the map.
        """
        samples, boxes = self.sampled(features, chosen)
        return self.joined(samples), boxes
