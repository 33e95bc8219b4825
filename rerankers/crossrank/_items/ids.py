"""Ids and rows of a collection, checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank.errors import DuplicateIdError, InputError


def check_distinct(who: str, ids: Sequence[str], what: str = "id") -> None:
    """Refuse an id that stands twice."""
    if len(set(ids)) < len(ids):
        twice = next(id for id, count in Counter(ids).items() if count > 1)
        raise DuplicateIdError(f"{who}: the {what} {twice!r} stands twice; ids must be unique")


def unique_rows(ids: tuple[str, ...]) -> dict[str, int]:
    """Return the row of each id, after refusing one that is empty or stands twice."""
    rows = {id: row for row, id in enumerate(ids)}
    if "" in rows:
        raise InputError(f"Collection: the id of item {rows['']} is empty")
    if len(rows) != len(ids):
        check_distinct("Collection", ids)
    return rows


def chosen_rows(who: str, rows: ArrayLike, count: int) -> NDArray[np.int64]:
    """Return the rows ``[M]`` to take of `count` there are, after refusing wrong ones."""
    chosen = np.asarray(rows)
    if chosen.ndim != 1 or (len(chosen) and chosen.dtype.kind not in "iu"):
        raise InputError(
            f"{who}: rows are {chosen.dtype} of shape {chosen.shape}; give the numbers of the rows "
            "(numpy.flatnonzero of a mask)"
        )
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= count):
        wrong = chosen[(chosen < 0) | (chosen >= count)][0]
        raise InputError(f"{who}: there is no row {wrong} among {count}")
    return chosen.astype(np.int64, copy=False)


def check_distinct_rows(who: str, rows: NDArray[np.int64]) -> None:
    """Refuse a row that stands twice."""
    ordered = np.sort(rows)
    if (ordered[1:] == ordered[:-1]).any():
        raise DuplicateIdError(f"{who}: a row stands twice; give ids=, a name for every place")
