"""What `Reranker.score` is given, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._items.collection import Collection
from crossrank.plugin.pairs import Pairs, text_asks


@dataclass(frozen=True, slots=True)
class Block:
    """Some queries with their candidates: all that `score` gets to see.  Every array is read-only.

    Parameters
    ----------
    queries
        The Q queries, with the features that were asked for.
    candidates
        The U distinct candidates of these queries, likewise.
    index
        ``[Q, K]`` int64 rows of `candidates`; 0 where `mask` is False.
    mask
        ``[Q, K]`` bool: the lists may be ragged.
    base_scores
        ``[Q, K]`` float64, or None where the base matcher gave none.
    direction
        ``"t2i"``, ``"i2t"``, in general ``<query>2<candidate>``.
    query_rows, candidate_rows
        ``[Q]`` and ``[U]`` int64: rows in the run's queries and gallery, for a state made in
        `prepare`.
    keep
        If set, only the `keep` best raw scores of a query matter: the others may be approximate as
        long as they stay below these.
    previous
        ``[Q, K]`` float64 the scores before the stage; None unless `Needs` asks for them.
    """

    queries: Collection
    candidates: Collection
    index: NDArray[np.int64]
    mask: NDArray[np.bool_]
    base_scores: NDArray[np.float64] | None
    direction: str
    query_rows: NDArray[np.int64]
    candidate_rows: NDArray[np.int64]
    keep: int | None = None
    previous: NDArray[np.float64] | None = None

    @property
    def texts(self) -> Collection:
        """The block's texts, in the directions ``t2i`` and ``i2t``."""
        return self.queries if text_asks(self.direction) else self.candidates

    @property
    def images(self) -> Collection:
        """The block's images, in the directions ``t2i`` and ``i2t``."""
        return self.candidates if text_asks(self.direction) else self.queries

    def pairs(self) -> Pairs:
        """Return the pairs that `mask` holds, row by row."""
        queries, columns = np.nonzero(self.mask)
        candidates = self.index[queries, columns]
        return Pairs(
            queries,
            columns,
            candidates,
            self.query_rows[queries],
            self.candidate_rows[candidates],
            (self.mask.shape[0], self.mask.shape[1]),
            self.direction,
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """Raw scores of a block, higher is better.

    Parameters
    ----------
    values
        ``[Q, K]`` float32, finite wherever the mask holds and the scorer does not abstain.
    abstained
        ``[Q, K]`` bool: pairs the scorer has no opinion on; None for not one.
    reason
        Why it abstains, for the trace.
    """

    values: NDArray[np.float32]
    abstained: NDArray[np.bool_] | None = None
    reason: str = ""

    @classmethod
    def of_pairs(
        cls,
        pairs: Pairs,
        values: NDArray[np.floating[Any]],
        known: NDArray[np.bool_] | None = None,
        reason: str = "",
    ) -> Scores:
        """Return the scores of a block from those of its pairs.

        Parameters
        ----------
        pairs
            See `Block.pairs`.
        values
            ``[P]``, one for each pair, or one for each known pair.
        known
            ``[P]`` bool, the pairs the scorer has an opinion on; None for all.
        reason
            Why it has none on the others.
        """
        spread = pairs.spread(values, known)
        if known is None or known.all():
            return cls(spread)
        abstained = np.zeros(pairs.shape, np.bool_)
        abstained[pairs.queries[~known], pairs.columns[~known]] = True
        return cls(spread, abstained, reason)
