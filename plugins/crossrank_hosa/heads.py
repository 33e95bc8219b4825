"""Small trained heads over frozen tokens, regions or words, and the file they are kept in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossrank.plugin.torch_weights import WeightsFile

HEADS = WeightsFile(
    "hosa",
    "crossrank-hosa-heads/1",
    "heads of hosa",
    "train some with research/train_hosa.py, or give the path of theirs",
)


@dataclass(frozen=True, slots=True)
class HeadSizes:
    """What the heads read, and how large they are.

    Parameters
    ----------
    image_feature, text_feature
        The ragged features they read: ``"tokens"``, ``"regions"`` or ``"words"``.
    image, text
        Sizes of a row of these.
    token, hidden
        Size of what comes out, and the width of the perceptron.
    """

    image_feature: str = "tokens"
    text_feature: str = "tokens"
    image: int = 192
    text: int = 192
    token: int = 192
    hidden: int = 192


class TokenHead(nn.Module):
    """``y = W (x - mean) / spread``; ``head(x) = unit(y + V₂ gelu(V₁ layer_norm(y)))``.

    W starts as the identity where the sizes agree, and V₂ as zero: over unit tokens, training
    starts from the tokens themselves.

    Parameters
    ----------
    in_features, out_features, hidden : int
        Sizes of a row, of a token and of the perceptron's layer.
    dropout : float
        Probability of dropping a hidden unit, in [0, 1).
    """

    mean: Tensor
    spread: Tensor

    def __init__(
        self, in_features: int, out_features: int, hidden: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(in_features))
        self.register_buffer("spread", torch.ones(in_features))
        self.linear = nn.Linear(in_features, out_features)
        last = nn.Linear(hidden, out_features)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(out_features),
            nn.Linear(out_features, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            last,
        )
        with torch.no_grad():
            last.weight.zero_()
            last.bias.zero_()
            if in_features == out_features:
                self.linear.weight.copy_(torch.eye(in_features))
                self.linear.bias.zero_()

    def forward(self, rows: Tensor) -> Tensor:
        """Return unit tokens ``[..., out_features]`` of rows ``[..., in_features]``."""
        projected: Tensor = self.linear((rows - self.mean) / self.spread)
        return functional.normalize(projected + self.perceptron(projected), dim=-1)


class HosaHeads(nn.Module):
    """One head per modality.

    Parameters
    ----------
    sizes : HeadSizes
        How large they are.
    dropout : float
        Probability of dropping a hidden unit in training.
    """

    def __init__(self, sizes: HeadSizes, dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes = sizes
        self.image = TokenHead(sizes.image, sizes.token, sizes.hidden, dropout)
        self.text = TokenHead(sizes.text, sizes.token, sizes.hidden, dropout)


def save_heads(heads: HosaHeads, path: Path) -> None:
    """Write heads; see `WeightsFile.save`."""
    HEADS.save(heads, heads.sizes, path)


def load_heads(path: Path) -> HosaHeads:
    """Read heads, in evaluation mode; see `WeightsFile.load`."""
    return HEADS.load(path, lambda sizes: HosaHeads(HeadSizes(**sizes)))
