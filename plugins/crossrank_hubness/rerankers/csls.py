"""The reranker ``csls``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import crossrank as cr
from crossrank.plugin.hookspecs import gives
from crossrank.plugin.parameters import check, integer
from crossrank_hubness.banks import FEATURE
from crossrank_hubness.corrections import Terms
from crossrank_hubness.matrices import Floats, largest
from crossrank_hubness.over import OverScores
from crossrank_hubness.rerankers.base import EMBEDDINGS
from crossrank_hubness.rerankers.over_base import OverParameters, OverReranker
from crossrank_hubness.run_sides import RunSides
from crossrank_hubness.streaming import top_k_means


@dataclass(frozen=True, slots=True, kw_only=True)
class CslsParameters(OverParameters):
    """What may be chosen.

    Parameters
    ----------
    bank
        A collection of queries, or its folder; ``"queries"`` for the run's own, which makes the
        run transductive.
    over
        What s is: ``"embedding"``, or ``"scores"``, see `OverParameters`; r_G then runs over the
        query's list.
    k
        How many neighbours count: of a candidate in the bank, and of a query in the gallery.
    """

    k: int = 10

    def __post_init__(self) -> None:
        OverParameters.__post_init__(self)
        check("csls", self, k=integer(1))


class CslsReranker(OverReranker):
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
    of_stages = False

    def terms(self, sides: RunSides) -> Terms:
        """Return a term per query and one per candidate."""
        count = largest("csls", self.params.k, self.bank_size(sides), "bank")
        of_candidates = self.kept(sides, "means", count, lambda bank: bank.means(count))
        own = self._in_lists(sides) if isinstance(self.over, OverScores) else self._near(sides)
        return Terms(sides.of_candidates(-of_candidates), sides.of_queries(-own), 2.0)

    def _near(self, sides: RunSides) -> Floats:
        """Return ``[A]`` the mean of each query's k largest similarities in the gallery."""
        gallery = sides.context.gallery[FEATURE]
        return top_k_means(
            sides.read_queries,
            len(sides.asked),
            gallery,
            largest("csls", self.params.k, len(gallery), "gallery"),
            sides.block_bytes,
            sides.report("csls: queries", len(sides.asked)),
        )

    def _in_lists(self, sides: RunSides) -> Floats:
        """Return ``[A]`` the mean of each query's k largest scores in its list."""
        ordered = -np.sort(-sides.previous(), axis=1)[:, : self.params.k]
        there = np.isfinite(ordered)
        sums = np.where(there, ordered, 0.0).sum(axis=1)
        return np.asarray(sums / np.maximum(there.sum(axis=1), 1), np.float64)


crossrank_reranker = gives("crossrank_hubness.rerankers.csls:CslsReranker")
