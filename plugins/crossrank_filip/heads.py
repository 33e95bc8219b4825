"""Small projection heads that map frozen backbone features to a shared space of unit rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ProjectionHead(nn.Module):
    """A linear map plus a residual multi-layer perceptron, followed by row normalisation.

    ``y = W norm(x)``; ``head(x) = unit(y + V₂ gelu(V₁ layer_norm(y)))``. The last layer of the
    perceptron starts at zero, so that training starts from the linear map and adds to it.

    Parameters
    ----------
    in_features : int
        Size of a backbone feature.
    out_features : int
        Size of the shared space.
    hidden_features : int, optional
        Width of the perceptron; ``2 * out_features`` by default, ``0`` leaves the perceptron out.
    dropout : float
        Probability of dropping a hidden unit, in [0, 1).
    normalise_input : bool
        Apply a layer norm (with learned scale and shift) to the raw feature first.

    Raises
    ------
    ValueError
        If a size is not positive (``hidden_features`` may be 0).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        hidden_features: int | None = None,
        dropout: float = 0.0,
        normalise_input: bool = True,
    ) -> None:
        super().__init__()
        hidden = 2 * out_features if hidden_features is None else hidden_features
        if in_features < 1 or out_features < 1 or hidden < 0:
            raise ValueError(
                "ProjectionHead needs in_features ≥ 1, out_features ≥ 1 and hidden_features ≥ 0; "
                f"got {in_features}, {out_features} and {hidden}."
            )
        self.norm = nn.LayerNorm(in_features) if normalise_input else nn.Identity()
        self.linear = nn.Linear(in_features, out_features)
        self.mlp = _perceptron(out_features, hidden, dropout) if hidden else None

    def forward(self, features: Tensor) -> Tensor:
        """Project features to unit rows.

        Parameters
        ----------
        features : Tensor
            Float, ``[..., in_features]``.

        Returns
        -------
        Tensor
            ``[..., out_features]``; each row has unit length.
        """
        projected: Tensor = self.linear(self.norm(features))
        if self.mlp is not None:
            projected = projected + self.mlp(projected)
        return functional.normalize(projected, dim=-1)


def _perceptron(features: int, hidden: int, dropout: float) -> nn.Sequential:
    last = nn.Linear(hidden, features)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
    return nn.Sequential(
        nn.LayerNorm(features), nn.Linear(features, hidden), nn.GELU(), nn.Dropout(dropout), last
    )
