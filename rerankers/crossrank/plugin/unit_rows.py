"""Rows of unit length: made so, or promised, and then looked at before any work.

What compares by inner products and says cosine calls `check_unit_rows` in ``prepare``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossrank._files.npy_rows import take_rows
from crossrank._items.arrays import unit
from crossrank._items.collection import Collection
from crossrank._items.compact import Compact
from crossrank._items.ragged import Ragged
from crossrank.errors import InputError

LOOKED_AT = 32
"""Items of which a row is looked at: what is forgotten is forgotten of all."""
TOLERANCE = 1e-2
"""What float16 and int8 lose is far below, and what was not normalised is far beyond."""


def check_unit_rows(
    who: str, collection: Collection, feature: str, rows: NDArray[np.int64]
) -> None:
    """Refuse rows that are not of unit length.

    Parameters
    ----------
    who
        Who asks, for the message.
    collection, feature
        Whose rows: an array ``[N, D]`` or a `Ragged`, of which the first row of an item counts.
    rows
        ``[M]`` the items that will be compared; some of them, evenly chosen, are looked at.

    Raises
    ------
    InputError
        Naming an item, and how to mend it.  A row of zeros passes: it fits nothing.
    """
    count = min(len(rows), LOOKED_AT)
    chosen = rows[np.arange(count) * (len(rows) - 1) // max(1, count - 1)]
    values = collection[feature]
    if isinstance(values, Ragged):
        chosen = chosen[values.lengths[chosen] > 0]
        starts, flat = values.offsets[chosen], values.flat
        first = (
            flat.spans(starts, np.ones(len(starts), np.int64))
            if isinstance(flat, Compact)
            else take_rows(flat, starts)
        )
    else:
        first = take_rows(values, chosen)
    first = first.astype(np.float32)
    lengths = np.sqrt(np.einsum("nd,nd->n", first, first))
    wrong = (np.abs(lengths - 1) > TOLERANCE) & (lengths > 0)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise InputError(
            f"{who}: {feature!r} must be rows of unit length, but {collection.modality} "
            f"{collection.ids[chosen[place]]!r} has one of length {lengths[place]:.3g}; make them "
            f"so by collection.with_features(normalise=True), or Collection(…, normalise=True)"
        )


__all__ = ["check_unit_rows", "unit"]
