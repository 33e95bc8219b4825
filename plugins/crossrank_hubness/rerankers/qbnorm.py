"""The reranker ``qbnorm``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.hookspecs import gives
from crossrank.plugin.parameters import check, integer
from crossrank_hubness.corrections import Terms, exponentials
from crossrank_hubness.matrices import Floats, largest
from crossrank_hubness.over import OverScores
from crossrank_hubness.rerankers.base import EMBEDDINGS
from crossrank_hubness.rerankers.invsoftmax import InvsoftmaxParameters, log_shares
from crossrank_hubness.rerankers.over_base import OverReranker
from crossrank_hubness.run_sides import RunSides


@dataclass(frozen=True, slots=True, kw_only=True)
class QbnormParameters(InvsoftmaxParameters):
    """What may be chosen.

    Parameters
    ----------
    bank, beta, over
        As for ``invsoftmax``.
    k
        How many candidates each item of the bank activates.
    log
        Whether the scores of corrected queries are logarithms, which float32 holds for any β.
    """

    k: int = 1

    def __post_init__(self) -> None:
        InvsoftmaxParameters.__post_init__(self)
        check("qbnorm", self, k=integer(1))


@dataclass(frozen=True, slots=True)
class Activation:
    """What `QbnormReranker` knows of a run.

    Parameters
    ----------
    shares
        The terms of the inverted softmax.
    corrected
        ``[Q]`` by row of the queries: whether the query's best candidate is activated.
    """

    shares: Terms
    corrected: NDArray[np.bool_]


class QbnormReranker(OverReranker):
    """Inverted softmax for queries whose best candidate is a hub, and for no other.

    A hub is what some query of the bank has among its k best.  Best is meant over the whole
    gallery, whatever the lists hold; under ``over="scores"`` over the query's list.  Queries that
    are not corrected keep s.
    """

    info = cr.RerankerInfo(
        name="qbnorm",
        summary="inverted softmax, only for queries whose best candidate the bank activates",
        paper="Bogolin et al., Cross Modal Retrieval with Querybank Normalisation, CVPR 2022",
        **EMBEDDINGS,
    )
    Parameters: ClassVar[type] = QbnormParameters
    params: QbnormParameters
    of_stages = False

    def terms(self, sides: RunSides) -> Activation:
        """Return the sums, and which queries are corrected."""
        gallery = sides.context.gallery
        if isinstance(self.over, OverScores):
            depth = largest("qbnorm", self.params.k, len(sides.listed), "gallery")
            best = sides.best_listed()
        else:
            depth = largest("qbnorm", self.params.k, len(gallery), "gallery")
            best = cr.search(sides.queries(), gallery, 1).index[:, 0]
        hubs = self.kept(
            sides, "hubs", depth, lambda bank: bank.hubs(depth).astype(np.float64), len(gallery)
        )
        corrected = np.zeros(len(sides.context.queries), np.bool_)
        corrected[sides.asked] = np.isin(best, np.flatnonzero(hubs))
        shares = log_shares(self, sides, self.params.beta)
        return Activation(Terms(shares, scale=self.params.beta), corrected)

    def corrected(self, s: Floats, block: cr.Block, state: Any) -> Floats:
        """Return the shares of candidates, or s for queries that are not corrected."""
        rows = state.corrected[block.query_rows]
        logarithms = np.where(rows[:, None], state.shares.added(s, block), 0.0)
        values = exponentials("qbnorm", "beta", logarithms, block, self.params.log)
        return np.where(rows[:, None], values, s)


crossrank_reranker = gives("crossrank_hubness.rerankers.qbnorm:QbnormReranker")
