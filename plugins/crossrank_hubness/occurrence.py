"""How hub-like a gallery is: how often each item is among the nearest of a query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from crossrank.errors import InputError
from crossrank_hubness.matrices import Floats, Integers


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What the k nearest of all queries say of a gallery.

    Parameters
    ----------
    k
        How many nearest count.
    counts
        ``[N]`` N_k: for how many queries an item is among them.
    """

    k: int
    counts: Integers

    @property
    def skewness(self) -> float:
        """The skewness of N_k: 0 where all items are found alike, large where a few are hubs."""
        return skewness(self.counts)

    @property
    def never(self) -> float:
        """The share of items that no query finds."""
        return float((self.counts == 0).mean()) if len(self.counts) else 0.0

    def worst(self, count: int) -> list[int]:
        """Return the rows of the greatest hubs, the greatest first."""
        return [int(row) for row in np.argsort(-self.counts, kind="stable")[:count]]


def k_occurrence(nearest: ArrayLike, items: int) -> Occurrence:
    """Count how often each item is among the nearest.

    Parameters
    ----------
    nearest
        ``[Q, k]`` rows of each query's k nearest items.
    items
        How many there are.

    Raises
    ------
    InputError
        If it is no matrix, or names a row that there is not.

    Notes
    -----
    Radovanović, Nanopoulos and Ivanović, Hubs in Space, JMLR 11, 2010.
    """
    rows = np.asarray(nearest)
    if rows.ndim != 2:
        raise InputError(f"k_occurrence: nearest has shape {rows.shape}; give [queries, k]")
    if rows.size and (rows.min() < 0 or rows.max() >= items):
        raise InputError(f"k_occurrence: a row is beyond the {items} items")
    return Occurrence(rows.shape[1], np.bincount(rows.ravel(), minlength=items).astype(np.int64))


def skewness(counts: ArrayLike) -> float:
    """Return ``E[(N − μ)³] / σ³``, 0 where nothing deviates."""
    values: Floats = np.asarray(counts, np.float64)
    deviation = float(values.std()) if len(values) else 0.0
    if not deviation > 0:
        return 0.0
    return float((((values - values.mean()) / deviation) ** 3).mean())
