"""Screens for `exact_search`: which pairs can still be among the best, by numpy or by faiss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank.plugin.optional import required

MARGIN = 32


def numpy_screen(
    queries: NDArray[np.float32],
    chunk: NDArray[np.float32],
    count: int,
    reach: NDArray[np.float64],
    error: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Screen with one matrix product; see `exact_search.Screen`."""
    product = queries @ chunk.T
    kept = product >= _float32_below(reach - error)[:, None]
    # the running lists soon leave little to win; a partition pays only where they do not yet
    if len(chunk) > count and np.count_nonzero(kept) > 2 * count * len(queries):
        last = np.partition(product, len(chunk) - count, axis=1)[:, len(chunk) - count]
        kept &= product >= _float32_below(_below(last, error))[:, None]
    rows, columns = np.nonzero(kept)
    return rows, columns


def faiss_screen(
    queries: NDArray[np.float32],
    chunk: NDArray[np.float32],
    count: int,
    reach: NDArray[np.float64],
    error: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Screen with the brute force of ``faiss.IndexFlatIP``; see `exact_search.Screen`.

    faiss is asked for more rows than needed.  Where even the last of them is too close to be told
    from those it left out, the query is screened with numpy.
    """
    faiss: Any = required("faiss", "faiss", "search(engine='faiss')")
    depth = min(len(chunk), count + MARGIN)
    product, columns = faiss.knn(queries, chunk, depth, metric=faiss.METRIC_INNER_PRODUCT)
    floor = reach - error
    if len(chunk) > count:
        floor = np.maximum(floor, _below(product[:, count - 1], error))
    unsure = (product[:, -1] >= floor) & (depth < len(chunk))
    kept = (product >= floor[:, None]) & ~unsure[:, None]
    rows = np.nonzero(kept)[0]
    pairs = [np.stack([rows, columns[kept]])]
    if unsure.any():
        again = np.flatnonzero(unsure)
        more, places = numpy_screen(queries[again], chunk, count, reach[again], error)
        pairs.append(np.stack([again[more], places]))
    # by query row and then by chunk row, as the merge wants them for its ties
    joined = np.concatenate(pairs, axis=1)
    ordered = joined[:, np.lexsort((joined[1], joined[0]))]
    return ordered[0], ordered[1]


def _below(last: NDArray[np.float32], error: float) -> NDArray[np.float64]:
    """Return what a product must reach to stand, in truth, beside the `count`-th computed one."""
    # that one may be too high by an error, and the product to be compared too low by another
    return last.astype(np.float64) - 2 * error


def _float32_below(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round down, so that comparing in float32 keeps what comparing in float64 would."""
    return np.nextafter(values.astype(np.float32), np.float32(-np.inf))
