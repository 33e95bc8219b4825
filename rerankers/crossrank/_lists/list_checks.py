"""What is refused of candidate lists, naming query and candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import DuplicateIdError, InputError, UnknownIdError

if TYPE_CHECKING:
    from crossrank._lists.candidates import Candidates


def check_shapes(
    index: NDArray[np.int64],
    scores: NDArray[np.float64] | None,
    mask: NDArray[np.bool_],
    queries: int,
) -> None:
    """Refuse columns that do not fit each other, or the number of queries."""
    if index.ndim != 2 or index.shape != mask.shape:
        raise InputError(
            f"Candidates: index {index.shape} and mask {mask.shape} must be the same "
            "two-dimensional shape"
        )
    if scores is not None and scores.shape != index.shape:
        raise InputError(f"Candidates: scores {scores.shape} do not fit index {index.shape}")
    if queries != len(index):
        raise InputError(f"Candidates: {queries} query ids for {len(index)} lists")


def check_rows(lists: Candidates) -> None:
    """Refuse rows that the gallery does not have, and ones that stand twice in a list."""
    index, mask, size = lists.index, lists.mask, len(lists.candidate_ids)
    wrong = mask & ((index < 0) | (index >= size))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise UnknownIdError(
            f"Candidates: query {lists.query_ids[row]!r} lists gallery row {index[row, column]}, "
            f"but the gallery has {size} rows"
        )
    if lists.repeats:
        return
    spread = np.where(mask, index, -1 - np.arange(index.shape[1]))
    ordered = np.sort(spread, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if twice.any():
        row = int(np.argmax(twice))
        rows, counts = np.unique(index[row][mask[row]], return_counts=True)
        raise DuplicateIdError(
            f"Candidates: query {lists.query_ids[row]!r} lists candidate "
            f"{lists.candidate_ids[rows[np.argmax(counts)]]!r} twice"
        )


def check_scores(lists: Candidates) -> None:
    """Refuse base scores that are not finite."""
    if lists.scores is None:
        return
    wrong = lists.mask & ~np.isfinite(lists.scores)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(
            f"Candidates: the base score of query {lists.query_ids[row]!r} and candidate "
            f"{lists.candidate_ids[lists.index[row, column]]!r} is {lists.scores[row, column]}; "
            "scores must be finite (leave the candidate out)"
        )
