"""The one tie rule: score, falling; then base rank, rising; then gallery row, rising."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def order_rows(
    mask: NDArray[np.bool_], scores: NDArray[np.float64], *ties: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return ``[Q, K]`` places from best to worst; places that are not taken come last.

    Parameters
    ----------
    mask
        ``[Q, K]``, which places count.
    scores
        ``[Q, K]``, higher is better; ignored where the mask is False.
    *ties
        ``[Q, K]`` integers that decide between equal scores, the first one first, lower is better.
    """
    falling = np.where(mask, -scores, np.inf)
    return np.lexsort((*reversed(ties), falling, ~mask), axis=1)


def ranks(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``[Q, K]`` the 1-based rank of each place, given the places from best to worst."""
    result = np.empty_like(order)
    places = np.arange(1, order.shape[1] + 1, dtype=np.int64)
    np.put_along_axis(result, order, np.broadcast_to(places, order.shape), axis=1)
    return result
