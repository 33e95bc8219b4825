"""From words that a whole picture carries to the regions that show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import InputError
from crossrank_knowledge.bank import KnowledgeBank
from crossrank_knowledge.vectors import region_vectors


def sharpened(
    bank: KnowledgeBank,
    images: Iterable[tuple[Sequence[str], NDArray[np.floating]]],
    keep: int,
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield per word and picture the mean of the regions that agree best with the prototype.

    A bank built from captions gives each word the mean of whole pictures; a second build over
    this stream gives it the cells where it is to be seen.  Ours, not the paper's.

    Parameters
    ----------
    bank
        Built before, whitened perhaps; cosines are taken after subtracting its mean.
    images
        Per picture its words, and its regions ``[R, D]``.
    keep
        How many regions to keep, at least 1.

    Yields
    ------
    tuple
        ``(word, feature)`` for the words that the bank knows, the feature as it came.
    """
    if keep < 1:
        raise InputError(f"sharpened: keep is {keep}; give at least 1")
    units = bank.unit_prototypes(center=True)
    for words, regions in images:
        known = [word for word in words if word in bank]
        cells = np.asarray(regions, np.float32)
        rows = [bank.row(word) for word in known]
        agreement = units[rows] @ region_vectors(bank, cells, center=True).T
        best = np.argsort(-agreement, axis=1, kind="stable")[:, :keep]
        for word, places in zip(known, best, strict=True):
            yield word, cells[places].mean(axis=0)
