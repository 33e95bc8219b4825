"""The parameters of the reranker ``lite_itm``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossrank.plugin.parameters import check, integer, none, path

SHIPPED = Path(__file__).with_name("lite_itm.safetensors")


@dataclass(frozen=True, slots=True)
class LiteItmParameters:
    """What may be chosen.

    Parameters
    ----------
    weights
        The file of the trained network; None for the one that ships with the package. Another one
        comes from ``research/train_lite_itm.py``.
    members
        How many of the file's networks are averaged, from the first; None for all. One is the
        fastest, and a little worse.
    """

    weights: str | Path | None = None
    members: int | None = None

    def __post_init__(self) -> None:
        check("lite_itm", self, weights=path | none, members=integer(1) | none)

    @property
    def path(self) -> Path:
        """The file to read."""
        return SHIPPED if self.weights is None else Path(self.weights)
