"""The parameters of the reranker ``qperturb``."""

from __future__ import annotations

from dataclasses import dataclass

from crossrank.plugin.parameters import check, integer, none
from crossrank_blip2.parameters import Blip2Parameters
from crossrank_qperturb.settings import Settings


@dataclass(frozen=True, slots=True)
class QPerturbParameters(Blip2Parameters):
    """BLIP-2's parameters (see `Blip2Parameters`), and how it is perturbed.

    Parameters
    ----------
    alpha, n_pc, weighting, projector, preserve_norm, coverage
        See `Settings`.
    top_n
        How many boxes of an image are used, the best by ``box_scores``; None for all of them.

    Raises
    ------
    ParameterError
        If a value cannot be used.
    """

    alpha: float = 8.0
    n_pc: float | int = 0.99
    weighting: str = "constant"
    projector: str = "pca"
    preserve_norm: bool = False
    coverage: str = "exact"
    top_n: int | None = None

    def __post_init__(self) -> None:
        # super() without arguments finds no class here: slots make the dataclass anew
        Blip2Parameters.__post_init__(self)
        Settings(
            self.alpha,
            self.n_pc,
            self.weighting,
            self.projector,
            self.preserve_norm,
            self.coverage,
        )
        check("qperturb", self, top_n=integer(1) | none)
