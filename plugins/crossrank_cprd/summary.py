"""What a student sees of an item's parts: the mean and the maximum of each feature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import crossrank as cr

CHUNK = 256


def summaries(
    items: cr.Collection, features: Sequence[str], rows: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """Return ``[N, S]``: per ragged feature the mean over the parts, then the maximum.

    Parameters
    ----------
    items
        With the features, ragged ``[L_n, F]``; read in chunks.
    features
        Such as ``("regions", "tokens")``; S is twice the sum of their sizes.
    rows
        Which items; all by default.  An item without parts is summarised by zeros.
    """
    chosen = np.arange(len(items)) if rows is None else rows
    width = sum(2 * int(items[name].trailing[0]) for name in features)
    made = np.zeros((len(chosen), width), np.float32)
    for start in range(0, len(chosen), CHUNK):
        part = chosen[start : start + CHUNK]
        left = 0
        for name in features:
            taken = items[name].take(part)
            size = taken.trailing[0]
            some = np.flatnonzero(taken.lengths)
            if len(some):
                flat, starts = np.asarray(taken.flat, np.float32), taken.offsets[some]
                means = np.add.reduceat(flat, starts) / taken.lengths[some, None]
                made[start + some, left : left + size] = means
                made[start + some, left + size : left + 2 * size] = np.maximum.reduceat(
                    flat, starts
                )
            left += 2 * size
    return made
