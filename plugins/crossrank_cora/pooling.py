"""Generalised pooling (VSE∞): every dimension sorted by itself, its places weighted.

Public: any plugin may pool ragged sets with it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from crossrank.errors import InputError
from crossrank_cora.sinusoid import sinusoid

SHARPNESS = 10.0
"""The paper divides the weights' logits by 0.1."""


def gpo(x: Tensor, lengths: Tensor, weights: Tensor) -> Tensor:
    """Pool sets of vectors: ``v_d = Σ_k θ_k · sorted_k(x_·d)``, every dimension sorted falling.

    Weights ``(1, 0, …)`` give the maximum, ``1/N`` the mean, ``1/K`` on the first K the K-max.

    Parameters
    ----------
    x : Tensor
        ``[B, N, D]``; rows from ``lengths`` on are padding, whatever stands there.
    lengths : Tensor
        ``[B]`` integers from 0 to N; an empty set is pooled to zeros.
    weights : Tensor
        ``[B, N]``: θ of each place, taken as it is; those from ``lengths`` on do not count.

    Returns
    -------
    Tensor
        ``[B, D]``.

    Raises
    ------
    InputError
        If the shapes do not go together.

    References
    ----------
    Chen et al., "Learning the Best Pooling Strategy for Visual Semantic Embedding", CVPR 2021.
    """
    if x.ndim != 3 or lengths.shape != x.shape[:1] or weights.shape != x.shape[:2]:
        raise InputError(
            f"gpo: x is {list(x.shape)}, lengths {list(lengths.shape)} and weights "
            f"{list(weights.shape)}; give [B, N, D], [B] and [B, N]"
        )
    own = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
    # −inf sinks below every true value; the published −10000 would not sink below −20000
    falling = x.masked_fill(~own[..., None], -torch.inf).sort(dim=1, descending=True).values
    falling = falling.masked_fill(~own[..., None], 0)
    return (weights.masked_fill(~own, 0)[..., None] * falling).sum(dim=1)


def gpo_parts(x: Tensor, weights: Tensor) -> Tensor:
    """Return what each vector of one set gives to what `gpo` makes of it; the rows add up to that.

    Parameters
    ----------
    x : Tensor
        ``[N, D]``.
    weights : Tensor
        ``[N]``.

    Returns
    -------
    Tensor
        ``[N, D]``: ``θ_k x_nd`` where ``x_nd`` is the k-th largest of its dimension.
    """
    ranks = x.argsort(dim=0, descending=True, stable=True).argsort(dim=0)
    return weights[ranks] * x


class GeneralizedPooling(nn.Module):
    """`gpo` with weights that depend on how many vectors there are, and on nothing else.

    ``θ = softmax(w · h_k / 0.1)`` where ``h_k`` is the mean of both directions of a GRU that reads
    the sinusoids of the places 0, 1, …, N − 1.

    Parameters
    ----------
    position : int
        Size of a sinusoid.
    hidden : int
        Of the GRU.
    """

    def __init__(self, position: int = 32, hidden: int = 32) -> None:
        super().__init__()
        self.gru = nn.GRU(position, hidden, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(hidden, 1, bias=False)

    def weights(self, lengths: Tensor, most: int) -> Tensor:
        """Return θ ``[B, most]``, 0 from ``lengths`` on; a set of length 0 has no weight at all."""
        distinct, place = torch.unique(lengths, return_inverse=True)
        counts = distinct.clamp(min=1)
        read = sinusoid(torch.arange(max(most, 1)), self.gru.input_size).to(self.linear.weight)
        packed = pack_padded_sequence(
            read.expand(len(counts), -1, -1), counts.cpu(), batch_first=True, enforce_sorted=False
        )
        both, _ = pad_packed_sequence(
            self.gru(packed)[0], batch_first=True, total_length=max(most, 1)
        )
        logits = (
            self.linear(both.reshape(*both.shape[:-1], 2, -1).mean(dim=-2)).squeeze(-1) * SHARPNESS
        )
        own = torch.arange(max(most, 1), device=lengths.device) < counts[:, None]
        found: Tensor = logits.masked_fill(~own, -torch.inf).softmax(dim=1)[place][:, :most]
        return found.masked_fill((lengths == 0)[:, None], 0)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Pool ``[B, N, D]`` to ``[B, D]``; see `gpo`."""
        return gpo(x, lengths, self.weights(lengths, x.shape[1]).to(x.dtype))
