"""Places as vectors: the sinusoids of the transformer."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sinusoid(places: Tensor, size: int) -> Tensor:
    """Return ``[..., size]`` float64: sine and cosine, in turn, of ``place / 10000^(2i / size)``.

    Parameters
    ----------
    places
        ``[...]`` integers.
    size
        Even.

    References
    ----------
    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.5.
    """
    rates = torch.arange(0, size, 2, dtype=torch.float64, device=places.device)
    angles = places[..., None] * torch.exp(rates * (-math.log(10000.0) / size))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)
