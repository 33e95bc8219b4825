"""Rows of scores: one part moved below another, and the mean for those without an opinion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shift_below(
    values: NDArray[np.float64],
    above: NDArray[np.bool_],
    previous: NDArray[np.float64],
    below: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return `values` where `above`, and `previous` where `below`, moved under the worst of them.

    The distances within `previous` stay.  Rows without anything above keep `previous`.
    """
    worst = np.min(np.where(above, values, np.inf), axis=1, keepdims=True, initial=np.inf)
    best = np.max(np.where(below, previous, -np.inf), axis=1, keepdims=True, initial=-np.inf)
    moves = np.isfinite(worst) & np.isfinite(best)
    floor = np.where(moves, worst, 0.0)
    gap = 1e-6 * np.maximum(np.abs(floor), 1.0)
    moved = previous - np.where(moves, best, 0.0) + np.where(moves, floor - gap, 0.0)
    return np.where(above, values, np.where(moves & below, moved, previous))


def abstaining_take_the_mean(
    values: NDArray[np.float64], scored: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the values where `scored`, and the mean of their row elsewhere."""
    return np.where(scored, values, row_mean(values, scored))


def row_mean(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return ``[Q, 1]`` the mean of each row's counted values, 0 where none counts."""
    count = np.maximum(counted.sum(axis=1, keepdims=True), 1)
    mean: NDArray[np.float64] = np.where(counted, values, 0.0).sum(axis=1, keepdims=True) / count
    return mean
