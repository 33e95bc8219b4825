"""The parameters of the reranker ``cora``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossrank.plugin.parameters import check, none, path

SHIPPED = Path(__file__).with_name("cora.safetensors")


@dataclass(frozen=True, slots=True)
class CoraParameters:
    """What may be chosen.

    Parameters
    ----------
    weights
        The file of the trained network; None for the one that ships with the package. Another one
        comes from ``research/train_cora.py``.
    """

    weights: str | Path | None = None

    def __post_init__(self) -> None:
        check("cora", self, weights=path | none)

    @property
    def path(self) -> Path:
        """The file to read."""
        return SHIPPED if self.weights is None else Path(self.weights)
