"""The parameters of the reranker ``cola``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossrank.plugin.parameters import check, none, path

SHIPPED = Path(__file__).with_name("cola.safetensors")


@dataclass(frozen=True, slots=True)
class ColaParameters:
    """What may be chosen.

    Parameters
    ----------
    weights
        The file of the trained adapter, from ``research/train_cola.py``; None for the one that
        ships, ``cola.safetensors`` beside this module.
    """

    weights: str | Path | None = None

    def __post_init__(self) -> None:
        check("cola", self, weights=path | none)

    @property
    def path(self) -> Path:
        """The file to read."""
        return SHIPPED if self.weights is None else Path(self.weights)
