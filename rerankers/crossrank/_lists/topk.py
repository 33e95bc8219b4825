"""Exact top-k of a matrix, with ties decided by column."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def top_k(scores: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return ``[Q, count]`` the columns of the highest scores of each row, best first.

    Equal scores are ordered by column, also across the boundary: of two equal scores of which only
    one fits, the lower column is in.  The scores are finite, ``[Q, N]``, and `count` is at most N.
    """
    if count >= scores.shape[1]:
        return np.argsort(-scores, axis=1, kind="stable").astype(np.int64)
    # argpartition alone would pick arbitrarily among scores equal to the last one that fits
    last = np.partition(scores, scores.shape[1] - count, axis=1)[:, [scores.shape[1] - count]]
    above = scores > last
    equal = scores == last
    room = count - above.sum(axis=1, keepdims=True)
    chosen = above | (equal & (np.cumsum(equal, axis=1) <= room))
    columns = np.nonzero(chosen)[1].reshape(len(scores), count)
    values = np.take_along_axis(scores, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1).astype(np.int64)
