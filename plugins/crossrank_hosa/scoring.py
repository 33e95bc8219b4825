"""Both local scores of many pairs: best matches, and reconstructions from cached filters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_hosa.bases import reconstruction

Integers = NDArray[np.int64]
SCRATCH_ROWS = 1 << 14
"""Query tokens that are compared with a candidate in one product."""


@dataclass(frozen=True, slots=True)
class LocalScores:
    """Per pair, averaged over the query's tokens.

    Parameters
    ----------
    alignment
        ``[P]`` the best inner product with a token of the candidate.
    rebuilt
        ``[P]`` the cosine with the reconstruction from the candidate's tokens.
    """

    alignment: NDArray[np.float64]
    rebuilt: NDArray[np.float64]


def score_pairs(
    queries: cr.Ragged,
    gallery: cr.Ragged,
    of_queries: Integers,
    of_gallery: Integers,
    fold: int,
) -> LocalScores:
    """Score pairs, candidate by candidate: one product with the tokens of all that list it.

    Parameters
    ----------
    queries
        Unit tokens ``[L, D]`` of each query in Fourier coordinates, float32.
    gallery
        ``[R, 1 or 2, D]`` of each candidate: its unit tokens likewise and, where reconstructions
        are wanted, its filters (see `crossrank_hosa.bases.factorise`).
    of_queries, of_gallery
        ``[P]`` the items of each pair; every item has a token.
    fold
        n3.
    """
    alignment, rebuilt = np.zeros(len(of_queries)), np.zeros(len(of_queries))
    order = np.argsort(of_gallery, kind="stable")
    starts = np.flatnonzero(np.diff(of_gallery[order], prepend=-1))
    for group in np.split(order, starts[1:]) if len(order) else ():
        tables = np.asarray(gallery[int(of_gallery[group[0]])])
        tokens = np.ascontiguousarray(tables[:, 0])
        filters = np.ascontiguousarray(tables[:, 1]) if tables.shape[1] > 1 else None
        lengths = queries.lengths[of_queries[group]]
        cuts = np.flatnonzero(np.diff(np.cumsum(lengths) // SCRATCH_ROWS)) + 1
        for pairs in np.split(group, cuts):
            counts = queries.lengths[of_queries[pairs]]
            offsets = np.cumsum(counts) - counts
            asked = np.take(queries.flat, queries.rows_of(of_queries[pairs]), axis=0)
            best = (tokens @ asked.T).max(axis=0)
            alignment[pairs] = np.add.reduceat(best, offsets, dtype=np.float64) / counts
            if filters is not None:
                cosines = reconstruction(filters, asked, fold)
                rebuilt[pairs] = np.add.reduceat(cosines, offsets, dtype=np.float64) / counts
    return LocalScores(alignment, rebuilt)
