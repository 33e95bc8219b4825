"""Reciprocal neighbours: who is near whom on both sides, as sparse rows of weights.

Row i of the weights V holds ``exp(−d(i, j))``, in sum 1, for the j in the expanded set of i's
k-reciprocal neighbours.  Nothing of size n × n is held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from crossrank_hubness.matrices import Floats, Integers
from crossrank_hubness.streaming import Report, Vectors, parts

EXPANDS = 2 / 3
"""A neighbour's own neighbours join where more than this share of them is there already."""
PAIRS = 1 << 20


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest of n items to some rows.

    Parameters
    ----------
    index, similarity
        ``[m, k]`` best first; an item's own list begins with itself.
    farthest
        ``[m]`` the largest squared distance of a row to any item.
    """

    index: Integers
    similarity: Floats
    farthest: Floats

    def first(self, count: int, items: int) -> csr_array:
        """Return ``[m, items]`` ones at the first so many neighbours."""
        listed = self.index[:, :count].copy()  # sparse arrays drop their zeros in place
        start = np.arange(len(listed) + 1) * listed.shape[1]
        return csr_array((np.ones(listed.size), listed.ravel(), start), (len(listed), items))


@dataclass(frozen=True, slots=True)
class Graph:
    """Items with their weights.

    Parameters
    ----------
    vectors
        ``[n, D]`` unit rows.
    neighbours
        Of each item.
    halves
        ``[n, n]`` ones at the reciprocal neighbours among the nearest ``k1 / 2``.
    unexpanded
        ``[n, n]`` V before it is averaged over neighbours.
    k1, k2
        See `graph_of`.
    """

    vectors: NDArray[np.float32]
    neighbours: Neighbours
    halves: csr_array
    unexpanded: csr_array
    k1: int
    k2: int

    def weights(self) -> csr_array:
        """Return ``[n, n]`` V, averaged over each item's k2 nearest, itself among them."""
        return csr_array(self.neighbours.first(self.k2, len(self.vectors)) @ self.unexpanded) / (
            min(self.k2, self.neighbours.index.shape[1])
        )


def graph_of(
    vectors: NDArray[np.float32], k1: int, k2: int, block_bytes: int, report: Report
) -> Graph:
    """Return the graph of some items.

    Parameters
    ----------
    vectors
        ``[n, D]`` unit rows.
    k1, k2
        How many neighbours must be reciprocal, and over how many weights are averaged.
    block_bytes, report
        As for `crossrank_hubness.streaming.top_k_means`.
    """
    count = len(vectors)
    near = nearest(vectors, vectors, max(k1 + 1, k2), block_bytes, report, same=True)
    mutual = _mutual(near, k1 + 1, count)
    halves = _mutual(near, round(k1 / 2) + 1, count)
    unexpanded = _weights(expanded(mutual, halves), vectors, vectors, near.farthest)
    return Graph(vectors, near, halves, unexpanded, k1, k2)


def placed(
    graph: Graph, rows: NDArray[np.float32], block_bytes: int, report: Report
) -> tuple[csr_array, Floats]:
    """Return ``[m, n]`` the weights of rows that join the graph one by one, and their farthest.

    Each is a neighbour of an item that it is nearer to than the item's k1-th neighbour.
    """
    near = nearest(rows, graph.vectors, max(graph.k1, graph.k2), block_bytes, report)
    last = graph.neighbours.similarity[:, : graph.k1 + 1][:, -1]
    forward = near.first(graph.k1, len(graph.vectors))
    listed = near.index[:, : graph.k1]
    forward.data = (near.similarity[:, : graph.k1] > last[listed]).ravel().astype(np.float64)
    forward.eliminate_zeros()
    sets = expanded(forward, graph.halves)
    # the row itself is in its own set, at distance 0, though in no one else's
    own = _weights(sets, rows, graph.vectors, near.farthest, own=1.0)
    others = near.first(graph.k2 - 1, len(graph.vectors)) @ graph.unexpanded
    return csr_array(own + others) / min(graph.k2, 1 + near.index.shape[1]), near.farthest


def nearest(
    rows: Vectors,
    items: Vectors,
    count: int,
    block_bytes: int,
    report: Report,
    *,
    same: bool = False,
) -> Neighbours:
    """Return each row's nearest items; with `same` the rows are the items, and come first."""
    count = min(count, len(items))
    index = np.zeros((len(rows), count), np.int64)
    similarity, farthest = np.zeros(index.shape), np.zeros(len(rows))
    for part in parts(len(rows), 24 * len(items), block_bytes):
        s = rows[part] @ items.T
        farthest[part] = np.maximum(2 - 2 * s.min(axis=1).astype(np.float64), 1e-12)
        if same:
            s[np.arange(len(s)), np.arange(part.start, part.stop)] = np.inf
        found = np.argpartition(-s, count - 1, axis=1)[:, :count]
        order = np.lexsort((found, -np.take_along_axis(s, found, axis=1)), axis=1)
        index[part] = np.take_along_axis(found, order, axis=1)
        similarity[part] = np.take_along_axis(s, index[part], axis=1)
        report(part.stop)
    return Neighbours(index, similarity, farthest)


def expanded(mutual: csr_array, halves: csr_array) -> csr_array:
    """Return the sets with those of members added that lie in them for the most part."""
    shared = csr_array((mutual @ halves.T) * mutual)
    sizes = np.asarray(halves.sum(axis=1)).ravel()
    shared.data = (shared.data > EXPANDS * sizes[shared.indices]).astype(np.float64)
    shared.eliminate_zeros()
    whole = csr_array(mutual + shared @ halves)
    whole.data = np.ones(len(whole.data))
    return whole


def _mutual(near: Neighbours, count: int, items: int) -> csr_array:
    forward = near.first(count, items)
    return csr_array(forward * forward.T)


def _weights(
    sets: csr_array, rows: Vectors, items: Vectors, farthest: Floats, own: float = 0.0
) -> csr_array:
    """Return ``exp(−d)`` at the members of the sets, each row with `own` in sum 1."""
    of = np.repeat(np.arange(sets.shape[0]), np.diff(sets.indptr))
    distances = np.empty(len(of))
    for part in parts(len(of), 1, PAIRS):
        left = rows[of[part]].astype(np.float64)
        distances[part] = 2 - 2 * np.einsum("nd,nd->n", left, items[sets.indices[part]])
    weights = np.exp(-np.maximum(distances, 0.0) / farthest[of])
    sums = np.bincount(of, weights=weights, minlength=sets.shape[0]) + own
    return csr_array((weights / sums[of], sets.indices, sets.indptr), sets.shape)


def shared_weight(row: tuple[Any, Any], others: csr_array, listed: Integers) -> Floats:
    """Return ``[K]`` ``Σ_j min`` of one sparse row, as indices and data, and of listed rows."""
    dense = np.zeros(others.shape[1])
    dense[row[0]] = row[1]
    sums = np.zeros(len(listed))
    for place, item in enumerate(listed.tolist()):
        own = slice(others.indptr[item], others.indptr[item + 1])
        sums[place] = np.minimum(dense[others.indices[own]], others.data[own]).sum()
    return sums
