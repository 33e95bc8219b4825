"""Small trained heads over frozen tokens, regions or words, and the file they are kept in."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from crossrank.errors import StoreError

FORMAT = "crossrank-hosa-heads/1"


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
    """Write heads as safetensors, under a name that appears when the file is complete."""
    partial = path.with_name(f".{path.name}.partial")
    tensors = {name: each.contiguous() for name, each in heads.state_dict().items()}
    save_file(tensors, partial, metadata={FORMAT: json.dumps(asdict(heads.sizes))})
    partial.chmod(0o644)
    partial.replace(path)


def load_heads(path: Path) -> HosaHeads:
    """Read heads, in evaluation mode.

    Raises
    ------
    StoreError
        If the file is missing, truncated or something else.
    """
    try:
        with safe_open(path, "pt") as file:
            sizes = (file.metadata() or {}).get(FORMAT)
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"hosa: {path} cannot be read: {error}; train heads with research/train_hosa.py"
        ) from error
    if sizes is None:
        raise StoreError(
            f"hosa: {path} is no file of HOSA heads; train some with research/train_hosa.py"
        )
    heads = HosaHeads(HeadSizes(**json.loads(sizes)))
    heads.load_state_dict(tensors)
    return heads.eval().requires_grad_(False)
