"""The reranker ``invsoftmax``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import crossrank as cr
from crossrank.plugin.hookspecs import gives
from crossrank.plugin.parameters import boolean, check, positive
from crossrank_hubness.corrections import Terms, exponentials
from crossrank_hubness.matrices import Floats
from crossrank_hubness.rerankers.base import EMBEDDINGS
from crossrank_hubness.rerankers.over_base import OverParameters, OverReranker
from crossrank_hubness.run_sides import RunSides


@dataclass(frozen=True, slots=True, kw_only=True)
class InvsoftmaxParameters(OverParameters):
    """What may be chosen.

    Parameters
    ----------
    bank, over
        See `OverParameters`.
    beta
        The inverse temperature, above 0.
    log
        Whether scores are logarithms, which float32 holds for any β.
    """

    beta: float = 20.0
    log: bool = False

    def __post_init__(self) -> None:
        OverParameters.__post_init__(self)
        check("invsoftmax", self, beta=positive, log=boolean)


class InvsoftmaxReranker(OverReranker):
    """The share of a candidate that a query would get among the queries of a bank.

    ``exp(β s(q, g)) / Σ_b exp(β s(b, g))``
    """

    info = cr.RerankerInfo(
        name="invsoftmax",
        summary="inverted softmax: a candidate shared out among the queries of a bank",
        paper="Smith et al., Orthogonal Transformations and the Inverted Softmax, ICLR 2017",
        **EMBEDDINGS,
    )
    Parameters: ClassVar[type] = InvsoftmaxParameters
    params: InvsoftmaxParameters

    def terms(self, sides: RunSides) -> Any:
        """Return the logarithm of every candidate's sum."""
        return Terms(log_shares(self, sides, self.params.beta), scale=self.params.beta)

    def corrected(self, s: Floats, block: cr.Block, state: Any) -> Floats:
        """Return the shares."""
        logarithms = state.added(s, block)
        return exponentials(self.info.name, "beta", logarithms, block, self.params.log)


def log_shares(reranker: OverReranker, sides: RunSides, beta: float) -> Floats:
    """Return ``[N]`` ``−log Σ_b exp(β s(b, g))`` of the listed candidates."""
    sums = reranker.kept(sides, "log-sums", beta, lambda bank: bank.log_sums(beta))
    return sides.of_candidates(-sums)


crossrank_reranker = gives("crossrank_hubness.rerankers.invsoftmax:InvsoftmaxReranker")
