"""A picture's regions or grid cells as one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossrank_cora.pooling import GeneralizedPooling
from crossrank_cora.sinusoid import sinusoid
from crossrank_cora.text_branch import PLACE


class SelfAttention(nn.Module):
    """Regions that look at each other, with several heads.

    Parameters
    ----------
    dim, heads : int
        Size of a vector, and how many heads divide it.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inside = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, vectors: Tensor, padding: Tensor) -> Tensor:
        """Return ``[B, R, dim]``; `padding` ``[B, R]`` is True for what nobody may look at."""
        # torch's fused attention is twenty times slower to learn from in bfloat16 on a processor
        split = self.inside(vectors).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        asked, seen, value = split.unbind()
        logits = asked @ seen.transpose(-2, -1) * asked.shape[-1] ** -0.5
        maps = logits.masked_fill(padding[:, None, None, :], -torch.inf).softmax(dim=-1)
        looked: Tensor = self.out((maps.to(value.dtype) @ value).transpose(1, 2).flatten(2))
        return looked


class PictureBranch(nn.Module):
    """The image encoder of CORA.

    A region goes through a linear map and a perceptron beside it; its place is added; regions look
    at each other; a perceptron; `gpo`.

    Parameters
    ----------
    region : int
        Size of a region's raw features.
    dim, heads : int
        Size of what comes out, and heads of the attention.
    hidden : int
        Width of the first perceptron.
    dropout : float
        In training: of input features, the same for all regions of a picture, and of places.

    References
    ----------
    Pham et al., CVPR 2024; Chen et al., CVPR 2021.
    """

    def __init__(
        self, region: int, dim: int, heads: int, hidden: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(region, dim)
        self.mlp = nn.Sequential(nn.Linear(region, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        self.place = nn.Linear(PLACE, dim)
        self.norm = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, heads)
        self.feed_norm = nn.LayerNorm(dim)
        self.feed = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.pool = GeneralizedPooling()
        self.drop_features = nn.Dropout1d(dropout)
        self.drop = nn.Dropout(dropout)

    def forward(self, regions: Tensor, lengths: Tensor, places: Tensor | None = None) -> Tensor:
        """Encode some pictures.

        Parameters
        ----------
        regions : Tensor
            ``[B, R, region]``; what lies from ``lengths`` on does not count.
        lengths : Tensor
            ``[B]``: 1 to R.
        places : Tensor, optional
            ``[R]`` or ``[B, R]``: where each region stood when only some are shown; 0, 1, … by
            default.

        Returns
        -------
        Tensor
            ``[B, dim]``.
        """
        pooled: Tensor = self.pool(self.regions(regions, lengths, places), lengths)
        return pooled

    def regions(self, regions: Tensor, lengths: Tensor, places: Tensor | None = None) -> Tensor:
        """Return ``[B, R, dim]``, as they are pooled."""
        if places is None:
            places = torch.arange(regions.shape[1], device=regions.device)
        dropped = self.drop_features(regions.transpose(1, 2)).transpose(1, 2)
        seen = self.linear(dropped) + self.mlp(dropped)
        waves = sinusoid(places, PLACE).to(regions.dtype)
        asked = self.norm(seen + self.drop(self.place(waves)))
        padding = torch.arange(regions.shape[1], device=regions.device) >= lengths[:, None]
        seen = seen + self.attention(asked, padding)
        whole: Tensor = seen + self.feed(self.feed_norm(seen))
        return whole
