"""Exact top-k by inner product, in bounded memory, with every tie decided.

A chunk of the gallery is *screened* in float32: a fast product tells which of its rows can still
reach the top k.  The rows that can are scored again pair by pair in float64.  The rounding error of
the screen is bounded, so no row is lost, and the result depends neither on the screen nor on the
chunks: not on BLAS, not on faiss, not on the shape of a product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossrank._lists.topk import top_k
from crossrank.errors import InputError
from crossrank.plugin.contract import Progress

GALLERY_BYTES = 1 << 25
PRODUCT_ENTRIES = 1 << 22
RESCORED_ENTRIES = 1 << 22

Rows = NDArray[np.int64]


class Unit(NamedTuple):
    """Rows on a scale on which no product exceeds 1.

    They are ``[n, D]`` as they were given and divided by a scale ``[n, 1]`` or ``[1, 1]``.
    """

    exact: NDArray[np.float64]
    scaled: NDArray[np.float32]
    scale: NDArray[np.float64]


Screen = Callable[
    [NDArray[np.float32], NDArray[np.float32], int, NDArray[np.float64], float], tuple[Rows, Rows]
]
"""``screen(queries, chunk, count, reach, error)`` returns query and chunk rows of the pairs whose
true product may be at least ``reach[query]`` and among the query's `count` highest of the chunk;
`error` bounds the distance between a true product and one computed in float32."""


def best_rows(
    queries: NDArray[Any],
    gallery: NDArray[Any],
    count: int,
    screen: Screen,
    names: tuple[Sequence[str], Sequence[str]],
    progress: Progress,
    *,
    gallery_chunk: int | None = None,
    query_chunk: int | None = None,
) -> tuple[Rows, NDArray[np.float64]]:
    """Return for each query the gallery rows of the highest inner products, and these.

    Equal products are ordered by gallery row.

    Parameters
    ----------
    queries, gallery
        ``[Q, D]`` and ``[N, D]``, any real dtype; may be memory-mapped.  The gallery is read once.
    count
        From 1 to N.
    screen
        `crossrank._search.screens.numpy_screen` or `crossrank._search.screens.faiss_screen`.
    names
        Ids of both sides, for errors.
    progress
        Told how many gallery rows are behind us.
    gallery_chunk, query_chunk
        Rows at a time; by default so that a chunk takes about 100 MB.

    Returns
    -------
    tuple
        ``[Q, count]`` int64 rows and ``[Q, count]`` float64 products, best first.

    Raises
    ------
    InputError
        Naming the first query or candidate whose vector is not finite.
    """
    size = max(1, gallery.shape[1])
    gallery_step = gallery_chunk or max(1, GALLERY_BYTES // (8 * size))
    query_step = query_chunk or max(1, PRODUCT_ENTRIES // min(gallery_step, len(gallery)))
    error = 1.1 * (size + 8) * 2.0**-24
    index = np.zeros((len(queries), count), np.int64)
    scores = np.full((len(queries), count), -np.inf)
    for start in range(0, len(gallery), gallery_step):
        chunk = _unit(gallery[start : start + gallery_step], names[1], start, "candidate", rows=0)
        for first in range(0, len(queries), query_step):
            part = slice(first, first + query_step)
            some = _unit(queries[part], names[0], first, "query", rows=1)
            # below the worst of the running list there is nothing to win
            reach = np.clip(scores[part, -1] / chunk.scale[0] / some.scale[:, 0], -2.0, 2.0)
            rows, columns = screen(some.scaled, chunk.scaled, count, reach, error)
            products = _products(some.exact, chunk.exact, rows, columns)
            best = _padded(rows, columns + start, products, len(some.exact))
            index[part], scores[part] = _merged(index[part], scores[part], *best)
        progress("search", min(start + gallery_step, len(gallery)), len(gallery))
    return index, scores


def _unit(vectors: NDArray[Any], names: Sequence[str], start: int, what: str, *, rows: int) -> Unit:
    """Scale vectors by the norm of each (``rows=1``) or the largest norm of all (``rows=0``)."""
    exact = np.asarray(vectors, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.sqrt(np.einsum("nd,nd->n", exact, exact))
    wrong = ~np.isfinite(norms)
    if wrong.any():
        name = names[start + int(np.argmax(wrong))]
        raise InputError(
            f"search: the embedding of {what} {name!r} holds NaN, infinity or numbers beyond "
            "1e154; encode it again or leave it out"
        )
    scale = norms[:, None] if rows else np.max(norms, initial=0.0).reshape(1, 1)
    # below this the squares underflow, and such rows count as zero, well within the error
    scale = np.where(scale > 1e-150, scale, 1.0)
    return Unit(exact, (exact / scale).astype(np.float32), scale)


def _products(
    queries: NDArray[np.float64], chunk: NDArray[np.float64], rows: Rows, columns: Rows
) -> NDArray[np.float64]:
    """Return the inner products of pairs, each summed alone and so always to the same bits."""
    step = max(1, RESCORED_ENTRIES // max(1, queries.shape[1]))
    products = np.empty(len(rows), np.float64)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        products[part] = np.einsum("nd,nd->n", queries[rows[part]], chunk[columns[part]])
    return products


def _padded(
    rows: Rows, values: Rows, products: NDArray[np.float64], count: int
) -> tuple[Rows, NDArray[np.float64]]:
    """Lay out pairs, ordered by query row, as one line per query; −inf where a line is shorter."""
    lengths = np.bincount(rows, minlength=count)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    index = np.zeros((count, int(lengths.max(initial=0))), np.int64)
    scores = np.full(index.shape, -np.inf)
    index[rows, places] = values
    scores[rows, places] = products
    return index, scores


def _merged(
    index: Rows, scores: NDArray[np.float64], more: Rows, products: NDArray[np.float64]
) -> tuple[Rows, NDArray[np.float64]]:
    """Return the best of a running list and of later gallery rows, as many as the list holds."""
    # the running list comes first: at equal scores the lower gallery row stands further left
    rows = np.concatenate([index, more], axis=1)
    values = np.concatenate([scores, products], axis=1)
    best = top_k(values, index.shape[1])
    return np.take_along_axis(rows, best, axis=1), np.take_along_axis(values, best, axis=1)
