"""Attention along the edges of graphs (GATv2), over flat lists of nodes and edges: no padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2


class GraphAttention(nn.Module):
    """One layer of GATv2 with several heads.

    ``e_ij = a · LeakyReLU(W₁ x_i + W₂ x_j) + b``, ``α_i = softmax over i's edges of e_ij``,
    ``x_i' = ReLU(LN(W₁ x_i + Σ_j α_ij V x_j))``; every head has its own slice of the matrices'
    rows, its own ``a`` and ``b``.

    Parameters
    ----------
    dim : int
        Size of a node.
    heads : int
        How many; divides `dim`.
    dropout : float
        Of the values ``V x_j``, in training.

    References
    ----------
    Brody et al., "How Attentive are Graph Attention Networks?", ICLR 2022; Pham et al., CVPR 2024.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.own = nn.Linear(dim, dim)
        self.other = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.drop = nn.Dropout(dropout)
        bound = (dim // heads) ** -0.5
        self.affinity = nn.Parameter(torch.empty(heads, dim // heads).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(heads).uniform_(-bound, bound))
        self.norm = nn.LayerNorm(dim)

    def forward(self, nodes: Tensor, others: Tensor, edges: Tensor) -> Tensor:
        """Let every node look at the others that its edges lead to.

        Parameters
        ----------
        nodes : Tensor
            ``[N, dim]``: those that look.
        others : Tensor
            ``[M, dim]``: those that are looked at; may be `nodes` themselves.
        edges : Tensor
            ``[2, E]`` integers: rows of `nodes`, rows of `others`; no edge twice.

        Returns
        -------
        Tensor
            ``[N, dim]``.
        """
        own = self.own(nodes)
        weights = self._weights(own, others, edges)
        value = self.drop(self.value(others)).to(own.dtype).unflatten(-1, self.affinity.shape)
        carried = weights[..., None] * value[edges[1]]
        gathered = torch.zeros_like(own).index_add_(0, edges[0], carried.flatten(1))
        return functional.relu(self.norm(own + gathered))

    def attention(self, nodes: Tensor, others: Tensor, edges: Tensor) -> Tensor:
        """Return α of each edge and head, ``[E, heads]``; those of a node add up to 1."""
        return self._weights(self.own(nodes), others, edges)

    def _weights(self, own: Tensor, others: Tensor, edges: Tensor) -> Tensor:
        """Return the softmax over each node's edges."""
        looks, seen = edges
        other = self.other(others).to(own.dtype)
        met = functional.leaky_relu(own[looks] + other[seen], SLOPE)
        logits = (met.reshape(*met.shape[:-1], *self.affinity.shape) * self.affinity).sum(
            dim=-1
        ) + self.bias
        # the largest of each node is taken off, so that none overflows; it cancels
        places = looks[:, None].expand_as(logits)
        largest = logits.new_full((len(own), logits.shape[1]), -torch.inf)
        largest = largest.scatter_reduce(0, places, logits.detach(), "amax")
        powers = (logits - largest[looks]).exp()
        total = torch.zeros_like(largest).index_add_(0, looks, powers)
        return powers / total[looks]
