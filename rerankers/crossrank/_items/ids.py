"""Ids and rows of a collection, checked."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank.errors import DuplicateIdError, InputError


def unique_rows(ids: tuple[str, ...]) -> dict[str, int]:
    """Return the row of each id, after refusing one that is empty or stands twice."""
    rows = {id: row for row, id in enumerate(ids)}
    if "" in rows:
        raise InputError(f"Collection: the id of item {rows['']} is empty")
    if len(rows) != len(ids):
        second = next(id for row, id in enumerate(ids) if rows[id] != row)
        raise DuplicateIdError(f"Collection: the id {second!r} stands twice; ids must be unique")
    return rows


def chosen_rows(rows: ArrayLike, count: int, *, distinct: bool) -> NDArray[np.int64]:
    """Return the rows to take of a collection of `count` items, after refusing wrong ones.

    Parameters
    ----------
    rows
        ``[M]`` integers in [0, count).
    count
        How many items there are.
    distinct
        Whether none may stand twice.
    """
    chosen = np.asarray(rows)
    if chosen.ndim != 1 or (len(chosen) and chosen.dtype.kind not in "iu"):
        raise InputError(
            f"Collection.take: rows are {chosen.dtype} of shape {chosen.shape}; give the numbers "
            "of the rows (numpy.flatnonzero of a mask)"
        )
    chosen = chosen.astype(np.int64, copy=False)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= count):
        wrong = chosen[(chosen < 0) | (chosen >= count)][0]
        raise InputError(f"Collection.take: there is no row {wrong} among {count}")
    if distinct:
        ordered = np.sort(chosen)
        if (ordered[1:] == ordered[:-1]).any():
            raise DuplicateIdError(
                "Collection.take: a row stands twice; give ids=, a name for every place"
            )
    return chosen
