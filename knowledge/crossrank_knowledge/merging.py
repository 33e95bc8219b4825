"""Merging banks: the bank of all their regions together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossrank import Ragged
from crossrank.errors import FeatureMismatchError, InputError

if TYPE_CHECKING:
    from crossrank_knowledge.bank import KnowledgeBank


def merged(banks: Sequence[KnowledgeBank]) -> dict[str, Any]:
    """Return what the bank is made of that one build over all their regions would have given.

    Prototypes and the mean are weighted by count, spreads follow from the second moments, clusters
    of a word are put together.

    Raises
    ------
    InputError
        If there is no bank, or one is refined (its space is its own: merge the parents).
    FeatureMismatchError
        If they come from different encoders or have prototypes of different length.
    """
    if not banks:
        raise InputError("merge: give at least one bank")
    first = banks[0]
    for bank in banks[1:]:
        if bank.size != first.size or bank.encoder != first.encoder:
            raise FeatureMismatchError(
                f"merge: {first!r} and {bank!r} do not live in the same space; build both with the "
                "same encoder"
            )
    if any(bank.weight is not None for bank in banks):
        raise InputError("merge: a refined bank lives in a space of its own; merge its parent")
    rows: dict[str, int] = {}
    for bank in banks:
        for word in bank.words:
            rows.setdefault(word, len(rows))
    places = [np.array([rows[word] for word in bank.words]) for bank in banks]
    counts = np.zeros(len(rows), np.int64)
    sums = np.zeros((len(rows), first.size))
    for bank, place in zip(banks, places, strict=True):
        counts[place] += bank.counts
        sums[place] += bank.prototypes * bank.counts[:, None].astype(np.float64)
    means = sums / counts[:, None]
    regions = sum(bank.regions for bank in banks)
    return {
        "words": rows,
        "prototypes": means,
        "counts": counts,
        "spread": _spread(banks, places, counts, means),
        "mean": sum(bank.mean.astype(np.float64) * bank.regions for bank in banks) / regions,
        "regions": regions,
        "clusters": _clusters(banks, list(rows)),
        "encoder": first.encoder,
        "data": {"merged": [bank.data for bank in banks]},
    }


def _spread(
    banks: Sequence[KnowledgeBank],
    places: Sequence[NDArray[np.int64]],
    counts: NDArray[np.int64],
    means: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    squares = np.zeros(len(counts))
    for bank, place in zip(banks, places, strict=True):
        if bank.spread is None:
            return None
        norms = np.square(bank.prototypes.astype(np.float64)).sum(1)
        squares[place] += bank.counts * (np.square(bank.spread.astype(np.float64)) + norms)
    variance = squares / counts - np.square(means).sum(1)
    spread: NDArray[np.float64] = np.sqrt(np.maximum(variance, 0.0))
    return spread


def _clusters(banks: Sequence[KnowledgeBank], words: Sequence[str]) -> Ragged | None:
    if all(bank.clusters is None for bank in banks):
        return None
    return Ragged.from_list(
        [
            np.concatenate([bank.prototypes_of(bank.row(word)) for bank in banks if word in bank])
            for word in words
        ]
    )
