"""Small array functions that several files share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EPSILON = 1e-12


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows ``[..., D]`` divided by their Euclidean norm; a zero row stays zero."""
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: NDArray[np.float32] = rows / np.maximum(norms, EPSILON)
    return unit


def top_k(values: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """Return the places of the k largest of ``[N]`` values, largest first, ties by place."""
    order: NDArray[np.int64] = np.argsort(-values, kind="stable")[:k]
    return order
