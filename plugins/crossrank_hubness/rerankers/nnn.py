"""The reranker ``nnn``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import crossrank as cr
from crossrank.plugin.hookspecs import gives
from crossrank.plugin.parameters import check, finite, integer
from crossrank_hubness.corrections import Terms
from crossrank_hubness.matrices import largest
from crossrank_hubness.rerankers.base import EMBEDDINGS
from crossrank_hubness.rerankers.over_base import OverParameters, OverReranker
from crossrank_hubness.run_sides import RunSides


@dataclass(frozen=True, slots=True, kw_only=True)
class NnnParameters(OverParameters):
    """What may be chosen.

    Parameters
    ----------
    bank, over
        See `OverParameters`.
    k
        How many of the bank's items nearest to a candidate count.
    alpha
        The weight of the bias.
    """

    k: int = 128
    alpha: float = 0.75

    def __post_init__(self) -> None:
        OverParameters.__post_init__(self)
        check("nnn", self, k=integer(1), alpha=finite)


class NnnReranker(OverReranker):
    """Subtracts from a similarity how near the candidate is to the queries of a bank.

    ``s(q, g) − α · mean of the k largest s(b, g)``
    """

    info = cr.RerankerInfo(
        name="nnn",
        summary="similarity less a candidate's mean similarity to its k nearest banked queries",
        paper="Chowdhury et al., Nearest Neighbor Normalization, EMNLP 2024",
        **EMBEDDINGS,
    )
    Parameters: ClassVar[type] = NnnParameters
    params: NnnParameters

    def terms(self, sides: RunSides) -> Terms:
        """Return a bias per candidate."""
        count = largest("nnn", self.params.k, self.bank_size(sides), "bank")
        near = self.kept(sides, "means", count, lambda bank: bank.means(count))
        return Terms(sides.of_candidates(-self.params.alpha * near))


crossrank_reranker = gives("crossrank_hubness.rerankers.nnn:NnnReranker")
