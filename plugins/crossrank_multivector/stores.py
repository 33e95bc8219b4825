"""Tokens in less space: fewer of them (Ward pooling), or one bit a number with exact rescoring."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError
from crossrank.plugin.parameters import checked, integer
from crossrank.plugin.unit_rows import unit

CHUNK_ROWS = 1 << 16


def ward_pooled(tokens: cr.Ragged, factor: int) -> cr.Ragged:
    """Merge the tokens of each item that are nearest to each other, by Ward's criterion.

    Parameters
    ----------
    tokens
        Of N items, unit rows ``[L_n, D]``.
    factor
        ``ceil(L_n / factor)`` tokens of an item are left, each the mean of those it stands for, of
        unit length; 1 changes nothing.

    Returns
    -------
    Ragged
        float32.  What is said of tokens one by one, such as ``token_boxes``, does not speak of
        these.

    References
    ----------
    Clavié et al., "Reducing the Footprint of Multi-Vector Retrieval with Minimal Performance Impact
    via Token Pooling", 2024.
    """
    checked("ward_pooled", "factor", factor, integer(1))
    pooled = [_pooled(np.asarray(item, np.float64), factor) for item in tokens]
    flat = np.concatenate(pooled) if pooled else np.zeros((0, *tokens.trailing))
    return cr.Ragged(flat.astype(np.float32), [len(item) for item in pooled])


def _pooled(rows: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    from scipy.cluster.hierarchy import fcluster, linkage

    wanted = -(-len(rows) // factor)
    if wanted == len(rows):
        return rows
    labels = fcluster(linkage(rows, "ward"), wanted, "maxclust")
    # clusters stand in the order of their first tokens
    _, first, members = np.unique(labels, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))[members]
    sums = np.zeros((len(first), rows.shape[1]))
    np.add.at(sums, place, rows)
    return unit(sums)


@dataclass(frozen=True, slots=True)
class BinaryTokens:
    """The signs of tokens, one bit for each number: 1/32 of float32.

    Parameters
    ----------
    codes
        Of N items, ``[L_n, ceil(D / 8)]`` uint8.
    dimensions
        D.
    """

    codes: cr.Ragged
    dimensions: int

    @classmethod
    def of(cls, tokens: cr.Ragged) -> BinaryTokens:
        """Keep the signs of tokens; 0 counts as positive."""
        width = tokens.trailing[0]
        flat = np.empty((int(tokens.lengths.sum()), -(-width // 8)), np.uint8)
        for start in range(0, len(flat), CHUNK_ROWS):
            rows = np.asarray(tokens.flat[start : start + CHUNK_ROWS])
            flat[start : start + len(rows)] = np.packbits(rows >= 0, axis=1)
        return cls(cr.Ragged(flat, tokens.lengths), width)

    def signs(self, row: int) -> NDArray[np.float32]:
        """Return the tokens of one item as rows of ±1/√D, of unit length."""
        bits = np.unpackbits(np.asarray(self.codes[row]), axis=1, count=self.dimensions)
        scale = np.float32(1 / np.sqrt(self.dimensions))
        return (2 * bits.astype(np.float32) - 1) * scale

    def maxsim(self, query: NDArray[np.float32], row: int) -> float:
        """Return the sum over a query's tokens ``[L, D]`` of the best product with an item's."""
        return float((query @ self.signs(row).T).max(axis=1).sum(dtype=np.float64))


def shortlist(
    candidates: cr.Candidates, queries: cr.Ragged, gallery: BinaryTokens, keep: int
) -> cr.Candidates:
    """Cut every list to what scores best by signs; what is left is scored exactly afterwards.

    The queries keep all their numbers.  Only the tokens of the `keep` candidates of each list are
    then read by an exact stage, `Stage("filip", params={"aggregate": "sum"})`.

    Parameters
    ----------
    candidates
        Lists over the gallery, whose rows are those of `gallery`.
    queries
        The tokens of the queries, one item for each list, in the lists' order.
    gallery
        The signs of the gallery's tokens.
    keep
        How many of each list are left.  Those keep their base scores and order.

    Raises
    ------
    InputError, FeatureMismatchError
        If lists, queries and gallery do not belong together.
    """
    checked("shortlist", "keep", keep, integer(1))
    if len(queries) != len(candidates):
        raise InputError(
            f"shortlist: {len(candidates)} lists and the tokens of {len(queries)} queries; take "
            "those of the lists' queries, in the lists' order"
        )
    if queries.trailing[0] != gallery.dimensions:
        raise FeatureMismatchError(
            f"shortlist: the queries' tokens have size {queries.trailing[0]}, the gallery's "
            f"{gallery.dimensions}; encode both with the same encoder"
        )
    if len(gallery.codes) != len(candidates.candidate_ids):
        raise InputError(
            f"shortlist: the lists are of {len(candidates.candidate_ids)} candidates, the gallery "
            f"has {len(gallery.codes)}; make both of the same collection"
        )
    mask = np.zeros_like(candidates.mask)
    for row in range(len(candidates)):
        places = np.flatnonzero(candidates.mask[row])
        query = np.asarray(queries[row], np.float32)
        scores = [gallery.maxsim(query, int(candidates.index[row, at])) for at in places]
        mask[row, places[np.argsort(-np.array(scores), kind="stable")[:keep]]] = True
    return replace(candidates, mask=mask)


__all__ = ["BinaryTokens", "shortlist", "ward_pooled"]
