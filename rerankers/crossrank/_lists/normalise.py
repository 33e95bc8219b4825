"""Normalisations of a row of scores.

Each takes ``values [Q, K]`` and ``counted [Q, K]``, derives its constants from the counted pairs of
a row alone, and applies them to the whole row.  A row without a counted pair comes back as zeros.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def none(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the values as they are."""
    return values


def zscore(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return ``(x − mean) / standard deviation`` (ddof 0); a constant row gives 0."""
    count = np.maximum(counted.sum(axis=1, keepdims=True), 1)
    # dividing by the spread first keeps huge and tiny rows inside the range of float64
    unit = minmax(values, counted)
    mean = np.where(counted, unit, 0.0).sum(axis=1, keepdims=True) / count
    away = unit - mean
    deviation = np.sqrt((np.where(counted, away, 0.0) ** 2).sum(axis=1, keepdims=True) / count)
    return np.where(deviation > 0, away / np.where(deviation > 0, deviation, 1.0), 0.0)


def minmax(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return ``(x − min) / (max − min)``; a constant row gives 0."""
    low = np.min(np.where(counted, values, np.inf), axis=1, keepdims=True, initial=np.inf)
    high = np.max(np.where(counted, values, -np.inf), axis=1, keepdims=True, initial=-np.inf)
    some = counted.any(axis=1, keepdims=True)
    low, high = np.where(some, low, 0.0), np.where(some, high, 0.0)
    spread = high / 2 - low / 2
    usable = spread > 0
    return np.where(usable, (values / 2 - low / 2) / np.where(usable, spread, 1.0), 0.0)


def softmax(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return ``exp(x) / Σ exp(x)`` (temperature 1)."""
    high = np.max(np.where(counted, values, -np.inf), axis=1, keepdims=True, initial=-np.inf)
    some = counted.any(axis=1, keepdims=True)
    # a pair that is not counted may lie above the largest counted one
    power = np.exp(np.minimum(values - np.where(some, high, 0.0), 50.0))
    total = np.where(counted, power, 0.0).sum(axis=1, keepdims=True)
    return np.where(some, power / np.where(total > 0, total, 1.0), 0.0)


def rank(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of the row's other counted pairs that lie below, ties by half: in [0, 1].

    A constant row gives 0.
    """
    result = np.zeros(values.shape, np.float64)
    for row, (scores, use) in enumerate(zip(values, counted, strict=True)):
        ordered = np.sort(scores[use])
        if len(ordered) < 2 or ordered[0] == ordered[-1]:
            continue
        below = np.searchsorted(ordered, scores, side="left")
        equal = np.searchsorted(ordered, scores, side="right") - below
        others = np.maximum(equal - use, 0)
        result[row] = (below + others / 2) / (len(ordered) - 1)
    return np.clip(result, 0.0, 1.0)
