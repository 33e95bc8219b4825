"""The reranker ``dualis``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import crossrank as cr
from crossrank.plugin.hookspecs import gives
from crossrank.plugin.parameters import boolean, check, positive
from crossrank_hubness.banks import GALLERY_BANK, Bank
from crossrank_hubness.corrections import Terms, exponentials
from crossrank_hubness.matrices import Floats
from crossrank_hubness.rerankers.base import (
    EMBEDDINGS,
    BankParameters,
    GalleryBankReranker,
    product_shares,
)
from crossrank_hubness.run_sides import RunSides


@dataclass(frozen=True, slots=True, kw_only=True)
class DualisParameters(BankParameters):
    """What may be chosen.

    Parameters
    ----------
    bank
        A collection of queries, or its folder; ``"queries"`` for the run's own, which makes the
        run transductive.
    gallery_bank
        A collection of candidates, or its folder; None for the gallery itself, in which every
        candidate meets itself too.
    beta1, beta2
        The inverse temperatures of the query bank and of the gallery bank, above 0.
    log
        Whether scores are logarithms, which float32 holds for any β.
    """

    gallery_bank: Bank | None = None
    beta1: float = 20.0
    beta2: float = 5.0
    log: bool = False

    def __post_init__(self) -> None:
        BankParameters.__post_init__(self)
        check(
            "dualis", self, gallery_bank=GALLERY_BANK, beta1=positive, beta2=positive, log=boolean
        )


class DualisReranker(GalleryBankReranker):
    """Inverted softmaxes over a bank of queries and a bank of candidates, multiplied.

    ``exp(β₁s) / Σ_b exp(β₁ s(b, g)) · exp(β₂s) / Σ_h exp(β₂ s(h, g))``
    """

    info = cr.RerankerInfo(
        name="dualis",
        summary="inverted softmaxes over a bank of queries and a bank of candidates",
        paper="Wang, Jian and Xue, Balance Act, EMNLP 2023",
        **EMBEDDINGS,
    )
    Parameters: ClassVar[type] = DualisParameters
    params: DualisParameters

    def terms(self, sides: RunSides) -> Terms:
        """Return the logarithm of the product of every candidate's two sums."""
        first, second = self.params.beta1, self.params.beta2
        shares = product_shares(self, sides, self.bank_vectors(sides), first)
        shares += product_shares(self, sides, self.gallery_vectors(sides), second)
        return Terms(shares, scale=first + second)

    def corrected(self, s: Floats, block: cr.Block, state: Any) -> Floats:
        """Return the products of shares."""
        logarithms = state.added(s, block)
        return exponentials("dualis", "beta1 and beta2", logarithms, block, self.params.log)


crossrank_reranker = gives("crossrank_hubness.rerankers.dualis:DualisReranker")
