"""Small array functions that several files share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crossrank.plugin.unit_rows import unit

if TYPE_CHECKING:
    from crossrank_knowledge.bank import KnowledgeBank


def top_k(values: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """Return the places of the k largest of ``[N]`` values, largest first, ties by place."""
    return np.argsort(-values, kind="stable")[:k]


def region_vectors(
    bank: KnowledgeBank, regions: NDArray[np.floating], center: bool
) -> NDArray[np.float32]:
    """Return regions ``[R, D]`` as unit rows in the space of a bank's prototypes.

    A refined bank maps them by its W first; its mean is mapped already.

    Parameters
    ----------
    bank, regions
        Of the same encoder.
    center
        Whether to subtract the mean of the bank's training regions.
    """
    vectors = np.asarray(regions, np.float32)
    if bank.weight is not None:
        vectors = vectors @ bank.weight
    if center:
        vectors = vectors - np.asarray(bank.mean, np.float32)
    return unit(vectors)
