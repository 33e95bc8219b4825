"""How well a dialogue finds its picture, from the picture's rank after every round.

Everywhere `ranks` is ``[queries, rounds + 1]``, 1-based: column 0 is the caption alone.

BRI and Hits@K count the best rank so far, so they reward luck: noise that throws a picture about
finds it sooner or later.  Read them beside `recall_at` and `log_rank`, which look at each round as
it is, and beside a row of pure noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank.errors import InputError

Floats = NDArray[np.float64]


def bri(ranks: ArrayLike) -> float:
    """Return the Best log Rank Integral; lower is better.

    With π the running minimum of a picture's rank and T rounds, the mean over queries of
    ``log(π₀ π_T) / 2T + Σ_{t=1}^{T−1} log π_t / T``: the area under log π by trapezoids, over T.

    Parameters
    ----------
    ranks
        ``[queries, rounds + 1]``, at least one round.

    Raises
    ------
    InputError
        If these are no ranks, or there is no query or no round.

    References
    ----------
    Lee et al., "Interactive Text-to-Image Retrieval with Large Language Models: A Plug-and-Play
    Approach", ACL 2024, definition 2.

    Examples
    --------
    >>> round(bri([[100, 10, 1]]), 9)
    2.302585093
    """
    logs = np.log(np.minimum.accumulate(_checked(ranks, rounds=1), axis=1))
    area = (logs[:, 0] + logs[:, -1]) / 2 + logs[:, 1:-1].sum(axis=1)
    return float(np.mean(area / (logs.shape[1] - 1)))


def hits_at(ranks: ArrayLike, k: int) -> Floats:
    """Return ``[rounds + 1]``: the part of the queries found in the first k at any round so far."""
    best = np.minimum.accumulate(_checked(ranks), axis=1)
    found: Floats = np.mean(best <= _positive(k), axis=0)
    return found


def recall_at(ranks: ArrayLike, k: int) -> Floats:
    """Return ``[rounds + 1]``: the part of the queries found in the first k at each round."""
    found: Floats = np.mean(_checked(ranks) <= _positive(k), axis=0)
    return found


def log_rank(ranks: ArrayLike) -> Floats:
    """Return ``[rounds + 1]``: the mean natural logarithm of the rank at each round."""
    found: Floats = np.mean(np.log(_checked(ranks)), axis=0)
    return found


def ranks_of(similarity: ArrayLike, targets: ArrayLike) -> NDArray[np.int64]:
    """Return ``[queries]`` the rank of each query's target.

    One more than the candidates that score higher, and those that score the same and stand before
    it: the target's score is that of the matrix, never one that was computed apart, which rounding
    would set beside its equals.

    Parameters
    ----------
    similarity
        ``[queries, gallery]``, higher is better; −inf for what was not ranked.
    targets
        ``[queries]`` rows of the gallery.

    Raises
    ------
    InputError
        On shapes that do not fit, or a target that is not in the gallery.
    """
    scores = np.asarray(similarity)
    rows = np.asarray(targets)
    if scores.ndim != 2 or rows.shape != scores.shape[:1]:
        raise InputError(
            f"ranks_of: the matrix is {scores.shape} and the targets {rows.shape}; give "
            "[queries, gallery] and [queries]"
        )
    if np.isnan(scores).any():
        raise InputError("ranks_of: the matrix holds NaN; leave the candidate out (−inf) instead")
    wrong = (rows < 0) | (rows >= scores.shape[1])
    if wrong.any():
        raise InputError(
            f"ranks_of: the target {rows[wrong][0]} of query {int(np.argmax(wrong))} is not among "
            f"the {scores.shape[1]} rows of the gallery"
        )
    own = np.take_along_axis(scores, rows[:, None], axis=1)
    before = np.arange(scores.shape[1]) < rows[:, None]
    ranks: NDArray[np.int64] = 1 + ((scores > own) | ((scores == own) & before)).sum(axis=1)
    return ranks


def padded(ranks: Sequence[Sequence[int]], rounds: int | None = None) -> NDArray[np.int64]:
    """Return ``[queries, rounds + 1]``: a dialogue that has ended keeps its last rank.

    Parameters
    ----------
    ranks
        Per query its ranks from round 0, in whatever number.
    rounds
        How many rounds; those of the longest dialogue by default, and longer ones are cut.

    Raises
    ------
    InputError
        If a query has no rank at all.
    """
    for number, own in enumerate(ranks):
        if len(own) == 0:
            raise InputError(f"padded: query {number} has no rank, not even that of its caption")
    width = max(map(len, ranks), default=1) if rounds is None else rounds + 1
    rows = [[own[min(t, len(own) - 1)] for t in range(width)] for own in ranks]
    return np.array(rows, np.int64).reshape(len(rows), width)


def _checked(ranks: ArrayLike, rounds: int = 0) -> Floats:
    values: Any = np.asarray(ranks)
    if values.ndim != 2 or values.dtype.kind not in "iuf":
        raise InputError(
            f"ranks are {values.dtype} of shape {values.shape}; give numbers [queries, rounds + 1] "
            "(crossrank_dialogue.padded evens out rounds of different length)"
        )
    if len(values) == 0 or values.shape[1] <= rounds:
        raise InputError(
            f"ranks of {len(values)} queries and {values.shape[1] - 1} rounds; there is nothing to "
            f"measure below one query and {rounds} rounds"
        )
    if not (values >= 1).all() or not np.isfinite(values).all() or (values % 1 != 0).any():
        raise InputError("ranks must be whole numbers from 1; what was not found has rank N + 1")
    checked: Floats = values.astype(np.float64)
    return checked


def _positive(k: int) -> int:
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise InputError(f"k is {k!r:.80}; give a whole number from 1")
    return int(k)
