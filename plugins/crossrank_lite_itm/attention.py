"""The network: gated cross attention in both directions between projected cells and words."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from crossrank_filip.heads import ProjectionHead

SHARPNESS = 10.0
SHARPEST = 40.0
TEMPERATURE = 0.05
SMALLEST = 1e-6


class CrossAttention(nn.Module):
    """Scores pairs of a picture's cells and a text's words.

    With unit rows ``v_r`` of the cells, ``u_l`` of the words and ``S = u vᵀ`` (Lee et al., "Stacked
    Cross Attention", ECCV 2018; the gates are ours):

    - each word looks at the cells, ``a_l = softmax_r(λ S_l)``, and agrees with what it sees by
      ``t_l = cos(u_l, Σ_r a_lr v_r)``;
    - each cell looks at the words, ``b_r = softmax_l(μ S_r)``, and agrees by
      ``i_r = Σ_l b_rl S_lr``;
    - ``score = σ (Σ_l w_l t_l + β Σ_r g_r i_r)``, where the gates ``w = softmax_l(p · u_l)`` and
      ``g = softmax_r(q · v_r)`` say which words and which cells matter.

    The gates start uniform, λ and μ at 10, β at 1, σ at 20.

    Parameters
    ----------
    region, word : int
        Sizes of a cell's and of a word's features.
    dim : int
        Size of the shared space.
    hidden : int
        Width of the heads' perceptrons.
    dropout : float
        Probability of dropping one of their units in training.
    """

    def __init__(self, region: int, word: int, dim: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.cell_head, self.word_head = (
            ProjectionHead(
                size, dim, hidden_features=hidden, dropout=dropout, normalise_input=False
            )
            for size in (region, word)
        )
        self.cell_gate = nn.Parameter(torch.zeros(dim))
        self.word_gate = nn.Parameter(torch.zeros(dim))
        self.log_word_sharpness = nn.Parameter(torch.tensor(math.log(SHARPNESS)))
        self.log_cell_sharpness = nn.Parameter(torch.tensor(math.log(SHARPNESS)))
        self.balance = nn.Parameter(torch.tensor(1.0))
        self.log_scale = nn.Parameter(torch.tensor(-math.log(TEMPERATURE)))

    def forward(
        self,
        cells: Tensor,
        words: Tensor,
        cell_mask: Tensor | None = None,
        word_mask: Tensor | None = None,
    ) -> Tensor:
        """Score every picture with every text.

        Parameters
        ----------
        cells, words : Tensor
            ``[N, R, dim]`` and ``[M, L, dim]``, unit rows out of the heads.
        cell_mask, word_mask : Tensor, optional
            Bool ``[N, R]`` and ``[M, L]``; False marks padding. Each item needs one that is True.

        Returns
        -------
        Tensor
            ``[N, M]``.
        """
        similarity = (words.flatten(0, 1) @ cells.transpose(1, 2)).view(
            len(cells), *words.shape[:2], -1
        )
        seen = self._seen_by_words(similarity, cells, cell_mask)
        gate = masked_softmax(words @ self.word_gate, word_mask, dim=1)
        by_words = (seen * gate).sum(dim=2)
        read = self._read_by_cells(similarity, word_mask)
        gate = masked_softmax(cells @ self.cell_gate, cell_mask, dim=1)
        by_cells = (read * gate[:, None]).sum(dim=2)
        score: Tensor = self.log_scale.exp() * (by_words + self.balance * by_cells)
        return score

    def word_attention(self, similarity: Tensor, cell_mask: Tensor | None = None) -> Tensor:
        """Return ``[N, M, L, R]``: where each word looks."""
        mask = None if cell_mask is None else cell_mask[:, None, None]
        return masked_softmax(similarity * self.log_word_sharpness.exp(), mask, dim=3)

    def _seen_by_words(self, similarity: Tensor, cells: Tensor, mask: Tensor | None) -> Tensor:
        """Return ``[N, M, L]``, the cosines of words and what they see.

        ``|Σ a v|² = aᵀ (v vᵀ) a`` spares the attended vectors, which are larger than the rest.
        """
        attention = self.word_attention(similarity, mask)
        flat = attention.flatten(1, 2)
        squares = (flat * torch.bmm(flat, cells @ cells.transpose(1, 2))).sum(dim=2)
        products = (attention * similarity).sum(dim=3)
        return products * squares.view_as(products).clamp_min(SMALLEST).rsqrt()

    def _read_by_cells(self, similarity: Tensor, mask: Tensor | None) -> Tensor:
        """Return ``[N, M, R]``, the similarity of each cell to the words it looks at.

        A softmax over an axis that is not the last is slow, and no similarity exceeds 1, so
        ``exp(μ (S − 1))`` does without looking for the largest; at a μ of 40 it is 1e-35 or more.
        """
        sharpness = self.log_cell_sharpness.exp().clamp_max(SHARPEST)
        logits = (similarity - 1.0) * sharpness
        if mask is not None:
            logits = logits.masked_fill(~mask[None, :, :, None], -torch.inf)
        powers = logits.exp()
        return (powers * similarity).sum(dim=2) / powers.sum(dim=2)


def masked_softmax(logits: Tensor, mask: Tensor | None, dim: int) -> Tensor:
    """Return the softmax over the places where the mask, which broadcasts, is True."""
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf)
    return logits.softmax(dim=dim)
