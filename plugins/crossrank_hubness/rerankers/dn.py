"""The reranker ``dn``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import crossrank as cr
from crossrank.plugin.hookspecs import gives
from crossrank.plugin.parameters import check
from crossrank_hubness.banks import GALLERY_BANK, Bank
from crossrank_hubness.corrections import Terms
from crossrank_hubness.rerankers.base import EMBEDDINGS, BankParameters, GalleryBankReranker
from crossrank_hubness.run_sides import RunSides, embeddings, mean_embedding
from crossrank_hubness.streaming import parts


@dataclass(frozen=True, slots=True, kw_only=True)
class DnParameters(BankParameters):
    """What may be chosen.

    Parameters
    ----------
    bank
        A collection of queries, or its folder; ``"queries"`` for the run's own, which makes the
        run transductive.
    gallery_bank
        A collection of candidates, or its folder; None for the gallery itself.
    """

    gallery_bank: Bank | None = None

    def __post_init__(self) -> None:
        BankParameters.__post_init__(self)
        check("dn", self, gallery_bank=GALLERY_BANK)


class DnReranker(GalleryBankReranker):
    """Subtracts half the mean of its kind from either embedding: ``⟨q − ½ μ_q, g − ½ μ_g⟩``."""

    info = cr.RerankerInfo(
        name="dn",
        summary="inner product of embeddings less half the mean of their kind",
        paper="Zhou et al., Test-Time Distribution Normalization, NeurIPS 2023",
        **EMBEDDINGS,
    )
    Parameters: ClassVar[type] = DnParameters
    params: DnParameters

    def terms(self, sides: RunSides) -> Terms:
        """Return what the means take from the inner product."""
        query_mean = self.bank_vectors(sides).mean(axis=0, dtype=np.float64)
        if self.gallery_bank is None:
            gallery_mean = mean_embedding(sides.context.gallery, sides.block_bytes)
        else:
            gallery_mean = self.gallery_vectors(sides).mean(axis=0, dtype=np.float64)
        of_candidates = np.empty(len(sides.listed))
        for part in parts(len(sides.listed), 12 * len(query_mean), sides.block_bytes):
            of_candidates[part] = sides.read_listed(part) @ query_mean
        asked = embeddings(sides.context.queries, sides.asked) @ gallery_mean
        return Terms(
            sides.of_candidates(-of_candidates / 2),
            sides.of_queries(query_mean @ gallery_mean / 4 - asked / 2),
        )


crossrank_reranker = gives("crossrank_hubness.rerankers.dn:DnReranker")
