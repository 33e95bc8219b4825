"""What a correction amounts to: one term per query and one per candidate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import crossrank as cr
from crossrank.errors import ParameterError
from crossrank_hubness.banks import FEATURE
from crossrank_hubness.matrices import Floats

MOST = float(np.log(np.finfo(np.float32).max))
LEAST = float(np.log(np.finfo(np.float32).tiny))


@dataclass(frozen=True, slots=True)
class Terms:
    """``scale · s(q, g) + of_queries[q] + of_candidates[g]``.

    Parameters
    ----------
    of_candidates
        ``[N]`` float64, NaN for items of the gallery that no list holds.
    of_queries
        ``[Q]`` float64 by row of the queries, or None for 0.
    scale
        The factor of the similarity.
    """

    of_candidates: Floats
    of_queries: Floats | None = None
    scale: float = 1.0

    def added(self, s: Floats, block: cr.Block) -> Floats:
        """Return ``[Q, K]`` the sum for the pairs of a block, 0 where there is none."""
        total = self.scale * s + self.of_candidates[block.candidate_rows][block.index]
        if self.of_queries is not None:
            total += self.of_queries[block.query_rows, None]
        return np.where(block.mask, total, 0.0)


def pair_products(block: cr.Block) -> Floats:
    """Return ``[Q, K]`` the inner products of the pairs' embeddings, 0 where there is none."""
    queries, listed = block.queries[FEATURE], block.candidates[FEATURE]
    s = np.zeros(block.mask.shape)
    for row in np.flatnonzero(block.mask.any(axis=1)):
        places = np.flatnonzero(block.mask[row])
        # float64: a factor such as β = 100 makes much of a rounding error
        vectors = listed[block.index[row, places]].astype(np.float64)
        s[row, places] = vectors @ queries[row].astype(np.float64)
    return s


def exponentials(
    who: str, parameter: str, logarithms: Floats, block: cr.Block, log: bool
) -> Floats:
    """Return ``exp(logarithms)`` where a pair is, 0 elsewhere; with `log` what was given.

    Raises
    ------
    ParameterError
        If float32 cannot hold one of them, naming the pair, the parameter and the way out.
    """
    if log:
        return logarithms
    beyond = block.mask & ((logarithms > MOST) | (logarithms < LEAST))
    if beyond.any():
        row, place = np.argwhere(beyond)[0]
        raise ParameterError(
            f"{who}: the score of query {block.queries.ids[row]!r} and candidate "
            f"{block.candidates.ids[block.index[row, place]]!r} is "
            f"exp({logarithms[row, place]:.4g}), which float32 cannot hold; lower {parameter} or "
            "ask for log=True"
        )
    return np.where(block.mask, np.exp(np.where(block.mask, logarithms, 0.0)), 0.0)
