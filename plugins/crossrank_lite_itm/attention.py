"""The network: gated cross attention in both directions between projected cells and words."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossrank_filip.heads import ProjectionHead

SHARPNESS = 10.0
SHARPEST = 40.0
TEMPERATURE = 0.05
SMALLEST = 1e-6
VOICE = 0.1
"""Keeps what the perceptron of evidence says small beside the cosines in the first steps."""


class CrossAttention(nn.Module):
    """Scores pairs of a picture's cells and a text's words.

    With unit rows ``v_r`` of the cells, ``u_l`` of the words and ``S = u vᵀ`` (Lee et al., "Stacked
    Cross Attention", ECCV 2018; the rest is ours):

    - each word looks at the cells, ``a_l = softmax_r(λ S_l)``, and agrees with what it sees by
      ``t_l = cos(u_l, Σ_r a_lr v_r)``;
    - each cell looks at the words, ``b_r = softmax_l(μ S_r)``, and agrees by
      ``i_r = Σ_l b_rl S_lr``;
    - ``score = σ (Σ_l w_l (t_l + e · u_l) + Σ_r g_r (β i_r + f · v_r) + Σ_l m_l)``.

    The gates ``w = softmax_l(p · u_l)`` and ``g = softmax_r(q · v_r)`` say which words and which
    cells matter.  The eases ``e · u_l`` and ``f · v_r`` take off what agrees with anything: a
    caption that fits every picture says little of this one.  A perceptron reads what a word is and
    how it agrees, ``m_l = perceptron(u_l, t_l, max_r S_lr, mean_r S_lr)``: for some words the
    best cell matters, for others the whole picture.

    The gates start uniform, eases and perceptron at 0, λ and μ at 10, β at 1, σ at 20.

    Parameters
    ----------
    region, word : int
        Sizes of a cell's and of a word's features.
    dim : int
        Size of the shared space.
    hidden, evidence : int
        Widths of the heads' perceptrons and of the one that reads a word's agreement.
    dropout : float
        Probability of dropping one of their units in training.
    """

    def __init__(
        self,
        region: int,
        word: int,
        dim: int,
        hidden: int,
        evidence: int = 32,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.cell_head, self.word_head = (
            ProjectionHead(
                size, dim, hidden_features=hidden, dropout=dropout, normalise_input=False
            )
            for size in (region, word)
        )
        self.cell_gate = nn.Parameter(torch.zeros(dim))
        self.word_gate = nn.Parameter(torch.zeros(dim))
        self.cell_ease = nn.Parameter(torch.zeros(dim))
        self.word_ease = nn.Parameter(torch.zeros(dim))
        self.log_word_sharpness = nn.Parameter(torch.tensor(math.log(SHARPNESS)))
        self.log_cell_sharpness = nn.Parameter(torch.tensor(math.log(SHARPNESS)))
        self.balance = nn.Parameter(torch.tensor(1.0))
        self.log_scale = nn.Parameter(torch.tensor(-math.log(TEMPERATURE)))
        self.word_evidence = nn.Linear(dim, evidence)
        self.agreement_evidence = nn.Linear(3, evidence, bias=False)
        self.evidence = nn.Linear(evidence, 1, bias=False)
        nn.init.zeros_(self.evidence.weight)

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
        by_words = ((seen + words @ self.word_ease) * gate).sum(dim=2)
        read = self.balance * self._read_by_cells(similarity, word_mask)
        gate = masked_softmax(cells @ self.cell_gate, cell_mask, dim=1)
        by_cells = ((read + (cells @ self.cell_ease)[:, None]) * gate[:, None]).sum(dim=2)
        evidence = self._evidence(similarity, seen, words, cell_mask)
        if word_mask is not None:
            evidence = evidence * word_mask
        return self.log_scale.exp() * (by_words + by_cells + evidence.sum(dim=2))

    def word_attention(self, similarity: Tensor, cell_mask: Tensor | None = None) -> Tensor:
        """Return ``[N, M, L, R]``: where each word looks."""
        mask = None if cell_mask is None else cell_mask[:, None, None]
        return masked_softmax(similarity * self.log_word_sharpness.exp(), mask, dim=3)

    def _seen_by_words(self, similarity: Tensor, cells: Tensor, mask: Tensor | None) -> Tensor:
        """Return ``[N, M, L]``, the cosines of words and what they see."""
        attention = self.word_attention(similarity, mask)
        squares = squared_lengths(attention.flatten(1, 2), cells)
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

    def _evidence(
        self, similarity: Tensor, seen: Tensor, words: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Return ``[N, M, L]``, what the perceptron makes of each word's agreement."""
        best, mean = best_and_mean(similarity, mask)
        agreement = torch.stack([seen, best, mean], dim=3)
        hidden = self.word_evidence(words) + self.agreement_evidence(agreement)
        voice: Tensor = self.evidence(functional.gelu(hidden)).squeeze(3) * VOICE
        return voice


def best_and_mean(similarity: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return maximum and mean over the cells, ``[N, M, L]`` each."""
    if mask is None:
        return similarity.amax(dim=3), similarity.mean(dim=3)
    known = mask[:, None, None]
    best = similarity.masked_fill(~known, -torch.inf).amax(dim=3)
    return best, (similarity * known).sum(dim=3) / known.sum(dim=3)


def masked_softmax(logits: Tensor, mask: Tensor | None, dim: int) -> Tensor:
    """Return the softmax over the places where the mask, which broadcasts, is True."""
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf)
    return logits.softmax(dim=dim)


def squared_lengths(attention: Tensor, cells: Tensor) -> Tensor:
    """Return ``[N, L]``, ``|Σ_r a_lr v_r|²`` of attentions ``[N, L, R]`` to cells ``[N, R, dim]``.

    ``aᵀ (v vᵀ) a`` spares the attended vectors, which are long; where few words look at a picture,
    ``v vᵀ`` would cost more than they do.
    """
    if attention.shape[1] < cells.shape[1]:
        return torch.bmm(attention, cells).square().sum(dim=2)
    return (attention * torch.bmm(attention, cells @ cells.transpose(1, 2))).sum(dim=2)
