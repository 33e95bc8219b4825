"""The one tie rule: score, falling; then base rank, rising; then gallery row, rising."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def order_rows(
    mask: NDArray[np.bool_], scores: NDArray[np.float64], *ties: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return ``[Q, K]`` places from best to worst; places that are not taken come last.

    Higher scores are better.  Between equal ones integers decide, those of the first of `ties`
    first, the lower one better.
    """
    falling = np.where(mask, -scores, np.inf)
    order = np.argsort(falling, axis=1)
    ordered = arrange(falling, order)
    # most rows have no equal scores: sorting by one key is several times faster than by four
    tied = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] < np.inf)).any(axis=1)
    tied |= ~mask.all(axis=1)
    if tied.any():
        keys = (*(tie[tied] for tie in reversed(ties)), falling[tied], ~mask[tied])
        order[tied] = np.lexsort(keys, axis=1)
    return order


def ranks(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``[Q, K]`` the 1-based rank of each place, given the places from best to worst."""
    result = np.empty_like(order)
    places = np.arange(1, order.shape[1] + 1, dtype=np.int64)
    result.ravel()[_flat(order, order.shape[1])] = places
    return result


def by_rank(ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``[Q, K]`` places from best to worst, given the 1-based rank of each: undo `ranks`."""
    order = np.empty_like(ranks)
    order.ravel()[_flat(ranks - 1, ranks.shape[1])] = np.arange(ranks.shape[1], dtype=np.int64)
    return order


def arrange(array: NDArray[Scalar], order: NDArray[np.int64]) -> NDArray[Scalar]:
    """Return ``[Q, M]`` the entries of each row of ``[Q, K]`` at the places `order` names.

    The same as `numpy.take_along_axis` along the rows, at a third of its cost.
    """
    return np.take(array, _flat(order, array.shape[1]))


def scatter(
    values: NDArray[Scalar], order: NDArray[np.int64], onto: NDArray[Scalar]
) -> NDArray[Scalar]:
    """Write ``values [Q, M]`` to the places `order` names in ``onto [Q, K]``, and return it."""
    onto.ravel()[_flat(order, onto.shape[1])] = values
    return onto


def _flat(order: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    return order + width * np.arange(len(order), dtype=np.int64)[:, None]
