"""The trained heads: what joins the two frozen towers in one space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossrank.plugin.torch_weights import WeightsFile
from crossrank_filip.heads import ProjectionHead

HEADS = WeightsFile(
    "lite",
    "crossrank-lite-heads/1",
    "heads of lite",
    "write some with research/train_lite.py, or install crossrank again for its own",
)


@dataclass(frozen=True, slots=True)
class HeadSizes:
    """How large the heads are.

    Parameters
    ----------
    picture, word
        Sizes of a cell's and of a word's features.
    embedding, attention, hidden
        Size of an embedding, how many attention maps pool it, and its perceptron's width.
    token, token_hidden
        Size of a token and its perceptron's width.
    """

    picture: int = 1280
    word: int = 768
    embedding: int = 512
    attention: int = 16
    hidden: int = 192
    token: int = 192
    token_hidden: int = 96


class AttentionPool(nn.Module):
    """Pools the vectors of an item into one unit row.

    ``A = softmax_over_vectors(x W_a)``; head ``h`` gives the slice ``(Aₕᵀ x) V_h`` of ``e``; the
    result is ``unit(e + perceptron(e))``.  All maps start uniform, as a plain mean.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of a vector and of the result.
    heads : int
        How many attention maps; divides `out_features`.
    hidden_features : int
        Width of the perceptron.
    dropout : float
        Probability of dropping a pooled feature; the perceptron drops twice as many.
    """

    def __init__(
        self, in_features: int, out_features: int, heads: int, hidden_features: int, dropout: float
    ) -> None:
        super().__init__()
        self.attend = nn.Parameter(torch.zeros(in_features, heads))
        self.values = nn.Parameter(torch.empty(heads, in_features, out_features // heads))
        # where only shapes are asked for, drawing numbers would import half of torch's compiler
        if not self.values.is_meta:
            nn.init.normal_(self.values, std=in_features**-0.5)
        self.drop = nn.Dropout(dropout)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(out_features),
            nn.Linear(out_features, hidden_features),
            nn.GELU(),
            nn.Dropout(2 * dropout),
            nn.Linear(hidden_features, out_features),
        )

    def forward(self, vectors: Tensor, mask: Tensor | None = None) -> Tensor:
        """Pool.

        Parameters
        ----------
        vectors : Tensor
            ``[N, L, in_features]``; in bfloat16, their pooling is computed in bfloat16.
        mask : Tensor, optional
            Bool ``[N, L]``; False marks padding.

        Returns
        -------
        Tensor
            ``[N, out_features]``; each row has unit length.
        """
        logits = (vectors @ self.attend.to(vectors.dtype)).float()
        if mask is not None:
            logits = logits.masked_fill(~mask[:, :, None], -torch.inf)
        maps = logits.softmax(dim=1).to(vectors.dtype)
        pooled = self.drop((maps.transpose(1, 2) @ vectors).float())
        joined = torch.einsum("nhf,hfd->nhd", pooled, self.values).flatten(1)
        return functional.normalize(joined + self.perceptron(joined), dim=-1)


class Standardise(nn.Module):
    """``(x - mean) / spread`` per feature, as measured on the training split."""

    mean: Tensor
    spread: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))

    def forward(self, vectors: Tensor) -> Tensor:
        """Return ``[..., features]``, standardised."""
        return (vectors - self.mean) / self.spread


class LiteHeads(nn.Module):
    """Both pairs of heads; they read standardised features.

    Parameters
    ----------
    sizes : HeadSizes
        How large they are.
    dropout : float
        Probability of dropping a feature in training.
    """

    def __init__(self, sizes: HeadSizes, dropout: float = 0.1) -> None:
        super().__init__()
        self.sizes = sizes
        pool = (sizes.embedding, sizes.attention, sizes.hidden, dropout)
        self.cells = Standardise(sizes.picture)
        self.words = Standardise(sizes.word)
        self.picture_embedding = AttentionPool(sizes.picture, *pool)
        self.text_embedding = AttentionPool(sizes.word, *pool)
        self.picture_tokens, self.text_tokens = (
            ProjectionHead(
                size,
                sizes.token,
                hidden_features=sizes.token_hidden,
                dropout=2 * dropout,
                normalise_input=False,
            )
            for size in (sizes.picture, sizes.word)
        )


def save_heads(heads: LiteHeads, path: Path) -> None:
    """Write the heads as float16; see `WeightsFile.save`."""
    HEADS.save(heads, heads.sizes, path, half=True)


def load_heads(path: Path) -> LiteHeads:
    """Read heads, in evaluation mode and float32; see `WeightsFile.load`."""
    return HEADS.load(path, lambda sizes: LiteHeads(HeadSizes(**sizes)))
