"""The reranker ``dsl``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError
from crossrank.plugin.hookspecs import gives
from crossrank.plugin.parameters import boolean, check, positive
from crossrank_hubness.banks import QUERIES, Bank, vectors
from crossrank_hubness.corrections import Terms, exponentials
from crossrank_hubness.matrices import Floats
from crossrank_hubness.rerankers.base import (
    EMBEDDINGS,
    BankParameters,
    BankReranker,
    product_shares,
)
from crossrank_hubness.run_sides import RunSides


@dataclass(frozen=True, slots=True, kw_only=True)
class DslParameters(BankParameters):
    """What may be chosen.

    Parameters
    ----------
    bank
        Queries besides the run's own that the softmax runs over, as a collection or its folder;
        ``"queries"`` for none.
    beta
        The inverse temperature, above 0.
    log
        Whether scores are logarithms; only similarities above 0 have one.
    """

    bank: Bank = QUERIES
    beta: float = 20.0
    log: bool = False

    def __post_init__(self) -> None:
        BankParameters.__post_init__(self)
        check("dsl", self, beta=positive, log=boolean)


class DslReranker(BankReranker):
    """The similarity times its softmax over the run's queries: ``s · exp(βs) / Σ_q exp(βs(q, g))``.

    Transductive, whatever the bank.
    """

    info = cr.RerankerInfo(
        name="dsl",
        summary="dual softmax: similarity times its softmax over all queries of the run",
        paper="Cheng et al., Multi-Stream Corpus Alignment and Dual Softmax Loss, 2021",
        transductive=True,
        **EMBEDDINGS,
    )
    Parameters: ClassVar[type] = DslParameters
    params: DslParameters

    def terms(self, sides: RunSides) -> Terms:
        """Return the logarithm of every candidate's sum."""
        queries = sides.queries()
        rows: NDArray[Any] = vectors("dsl", queries, queries, "the run's queries")
        if self.bank is not None:
            rows = np.concatenate([rows, self.bank_vectors(sides)])
        return Terms(product_shares(self, sides, rows, self.params.beta), scale=self.params.beta)

    def corrected(self, s: Floats, block: cr.Block, state: Any) -> Floats:
        """Return similarity times share."""
        logarithms: Floats = state.added(s, block)
        if not self.params.log:
            return s * exponentials("dsl", "beta", logarithms, block, log=False)
        if (block.mask & (s <= 0)).any():
            row, place = np.argwhere(block.mask & (s <= 0))[0]
            raise InputError(
                f"dsl: the similarity of query {block.queries.ids[row]!r} and candidate "
                f"{block.candidates.ids[block.index[row, place]]!r} is {s[row, place]:.4g}, which "
                "has no logarithm; leave out log=True and lower beta, or use invsoftmax"
            )
        logarithms += np.log(np.where(block.mask, s, 1.0))
        return logarithms


crossrank_reranker = gives("crossrank_hubness.rerankers.dsl:DslReranker")
