"""The reranker ``csls``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import crossrank as cr
from crossrank_hubness.banks import FEATURE
from crossrank_hubness.corrections import Terms
from crossrank_hubness.matrices import check_count, largest
from crossrank_hubness.rerankers.base import EMBEDDINGS, BankParameters, BankReranker
from crossrank_hubness.run_sides import RunSides
from crossrank_hubness.streaming import top_k_means


@dataclass(frozen=True, slots=True, kw_only=True)
class CslsParameters(BankParameters):
    """What may be chosen.

    Parameters
    ----------
    bank
        A collection of queries, or its folder; ``"queries"`` for the run's own, which makes the
        run transductive.
    k
        How many neighbours count: of a candidate in the bank, and of a query in the gallery.
    """

    k: int = 10

    def __post_init__(self) -> None:
        BankParameters.__post_init__(self)
        check_count("csls", "k", self.k)


class CslsReranker(BankReranker):
    """Local scaling: twice the similarity less how dense it is around both sides.

    ``2 s(q, g) − r_G(q) − r_B(g)``, r the mean of the k largest.  r_G runs over the whole gallery.
    """

    info = cr.RerankerInfo(
        name="csls",
        summary="similarity scaled by how dense it is around the query and around the candidate",
        paper="Conneau et al., Word Translation Without Parallel Data, ICLR 2018",
        **EMBEDDINGS,
    )
    Parameters: ClassVar[type] = CslsParameters
    params: CslsParameters

    def terms(self, sides: RunSides) -> Terms:
        """Return a term per query and one per candidate."""
        bank, gallery = self.bank_vectors(sides), sides.context.gallery[FEATURE]
        of_candidates = top_k_means(
            sides.read_listed,
            len(sides.listed),
            bank,
            largest("csls", self.params.k, len(bank), "bank"),
            sides.block_bytes,
            sides.report("csls: candidates", len(sides.listed)),
        )
        of_queries = top_k_means(
            sides.read_queries,
            len(sides.asked),
            gallery,
            largest("csls", self.params.k, len(gallery), "gallery"),
            sides.block_bytes,
            sides.report("csls: queries", len(sides.asked)),
        )
        return Terms(sides.of_candidates(-of_candidates), sides.of_queries(-of_queries), 2.0)


@cr.hookimpl
def crossrank_reranker() -> type[CslsReranker]:
    """Return the reranker ``csls``."""
    return CslsReranker
