"""The reranker ``kreciprocal``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.hookspecs import gives
from crossrank.plugin.parameters import between, check, integer
from crossrank.plugin.unit_rows import unit
from crossrank_hubness.banks import QUERIES, Bank, vectors
from crossrank_hubness.corrections import pair_products
from crossrank_hubness.matrices import Floats
from crossrank_hubness.rerankers.base import EMBEDDINGS, BankParameters, BankReranker
from crossrank_hubness.run_sides import RunSides


@dataclass(frozen=True, slots=True, kw_only=True)
class KreciprocalParameters(BankParameters):
    """What may be chosen.

    Parameters
    ----------
    bank
        ``"queries"``: the graph holds the run's queries and the gallery, as in the paper, which
        makes the run transductive.  A collection of queries, or its folder, takes their place, and
        each query joins alone.
    k1
        How many nearest neighbours must be reciprocal.
    k2
        Over how many nearest neighbours weights are averaged, the item among them; 1 for none.
    mix
        The paper's λ, in [0, 1]: the share of the original distance.
    """

    bank: Bank = QUERIES
    k1: int = 20
    k2: int = 6
    mix: float = 0.3

    def __post_init__(self) -> None:
        BankParameters.__post_init__(self)
        check("kreciprocal", self, k1=integer(1), k2=integer(1), mix=between(0, 1))


@dataclass(frozen=True, slots=True)
class ReciprocalState:
    """What `KreciprocalReranker` knows of a run.

    Parameters
    ----------
    queries, gallery
        ``[A, n]`` and ``[N, n]`` sparse weights.
    place
        ``[Q]`` by row of the queries: the row in `queries`.
    farthest
        ``[A]`` the largest squared distance of a query to anything.
    """

    queries: Any
    gallery: Any
    place: NDArray[np.int64]
    farthest: Floats


class KreciprocalReranker(BankReranker):
    """Minus a mixture of distance and Jaccard distance of k-reciprocal neighbours.

    ``−(1 − λ) d_J(q, g) − λ d(q, g)``, d the squared distance of unit embeddings over the query's
    largest.  The graph compares every item with every other one: a matter of 10,000s of items.
    """

    info = cr.RerankerInfo(
        name="kreciprocal",
        summary="Jaccard distance of k-reciprocal neighbours, mixed with the distance",
        paper="Zhong et al., Re-ranking Person Re-identification, CVPR 2017",
        **EMBEDDINGS,
    )
    Parameters: ClassVar[type] = KreciprocalParameters
    params: KreciprocalParameters

    def terms(self, sides: RunSides) -> ReciprocalState:
        """Return the weights of queries and gallery."""
        from crossrank_hubness.reciprocal import graph_of, placed  # which brings scipy.sparse

        gallery = sides.context.gallery
        queries = sides.queries()
        asked = unit(vectors(self.info.name, queries, queries, "the run's queries"))
        bank = asked if self.bank is None else unit(self.bank_vectors(sides))
        items = np.concatenate(
            [bank, unit(vectors(self.info.name, gallery, gallery, "the gallery"))]
        )
        graph = graph_of(
            items,
            self.params.k1,
            self.params.k2,
            sides.block_bytes,
            sides.report("kreciprocal: neighbours", len(items)),
        )
        weights = graph.weights()
        place = np.zeros(len(sides.context.queries), np.int64)
        place[sides.asked] = np.arange(len(asked))
        if self.bank is None:
            own, farthest = weights[: len(bank)], graph.neighbours.farthest[: len(bank)]
        else:
            report = sides.report("kreciprocal: queries", len(asked))
            own, farthest = placed(graph, asked, sides.block_bytes, report)
        return ReciprocalState(own, weights[len(bank) :], place, farthest)

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return minus the mixed distances."""
        from crossrank_hubness.reciprocal import shared_weight

        values = np.zeros(block.mask.shape)
        if not block.mask.any():
            return cr.Scores(values.astype(np.float32))
        lengths = [
            np.linalg.norm(side["embedding"].astype(np.float64), axis=1)
            for side in (block.queries, block.candidates)
        ]
        s = pair_products(block) / np.maximum(
            lengths[0][:, None] * lengths[1][block.index], np.finfo(np.float64).tiny
        )
        for row in np.flatnonzero(block.mask.any(axis=1)):
            places = np.flatnonzero(block.mask[row])
            own = state.place[block.query_rows[row]]
            part = slice(state.queries.indptr[own], state.queries.indptr[own + 1])
            listed = block.candidate_rows[block.index[row, places]]
            shared = shared_weight(
                (state.queries.indices[part], state.queries.data[part]), state.gallery, listed
            )
            jaccard = 1 - shared / (2 - shared)
            distance = (2 - 2 * s[row, places]) / state.farthest[own]
            values[row, places] = -(1 - self.params.mix) * jaccard - self.params.mix * distance
        return cr.Scores(values.astype(np.float32))


crossrank_reranker = gives("crossrank_hubness.rerankers.kreciprocal:KreciprocalReranker")
