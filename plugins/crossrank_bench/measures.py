"""What a benchmark counts: strict inequalities, so that a tie is never right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank.errors import InputError

Floats = NDArray[np.float64]
QUANTILE = 1.959963984540054
"""Of the normal distribution, for intervals of 95 %."""


class Outcome(NamedTuple):
    """What a case gives per measure, and whether a tie decided it.

    Parameters
    ----------
    values
        Per measure 0 or 1, or an average precision.
    tied
        Whether an equality stands in the way.
    """

    values: dict[str, float]
    tied: bool


def choice(scores: Floats) -> Outcome:
    """Judge ``[1, 1 + negatives]`` scores, the right text first."""
    right, others = scores[0, 0], scores[0, 1:]
    best = others.max()
    return Outcome({"accuracy": float(right > best)}, bool(right == best))


def pairs(scores: Floats) -> Outcome:
    """Judge ``[2, 2]`` scores as `crossrank.evaluation.winoground` does."""
    own, other = scores.diagonal(), scores[[0, 1], [1, 0]]
    text = bool((own > other).all())
    image = bool((own > other[::-1]).all())
    tied = bool((own == other).any() or (own == other[::-1]).any())
    values = {"text": float(text), "image": float(image), "group": float(text and image)}
    return Outcome(values, tied)


def labels(scores: Floats, relevant: Sequence[bool]) -> Outcome:
    """Judge ``[n, 1]`` scores of a text's pictures by average precision."""
    right = np.asarray(relevant, bool)
    values = scores[:, 0]
    tied = bool(np.isin(values[right], values[~right]).any())
    return Outcome({"AP": average_precision(values, right)}, tied)


def average_precision(scores: ArrayLike, relevant: ArrayLike) -> float:
    """Return the mean precision at the ranks of what is relevant, in [0, 1].

    Among equals what is not relevant comes first: a tie is never right.

    Parameters
    ----------
    scores, relevant
        ``[n]``; at least one is relevant.

    Raises
    ------
    InputError
        If shapes differ, nothing is relevant, or a score is NaN.
    """
    values, right = np.asarray(scores, np.float64), np.asarray(relevant, bool)
    if values.ndim != 1 or values.shape != right.shape:
        raise InputError(
            f"average precision: scores and relevance have the shapes {values.shape} and "
            f"{right.shape}; give two of [n]"
        )
    if np.isnan(values).any() or not right.any():
        raise InputError("average precision: a score is NaN, or nothing is relevant")
    order = np.lexsort((right, -values))
    hits = right[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def share_interval(right: float, items: int) -> tuple[float, float]:
    """Return the 95 % interval around a share of items, in percent, after Wilson (1927)."""
    share, z = right / items, QUANTILE
    middle = share + z * z / (2 * items)
    spread = z * math.sqrt(share * (1 - share) / items + z * z / (4 * items * items))
    whole = 1 + z * z / items
    return 100 * max(0.0, (middle - spread) / whole), 100 * min(1.0, (middle + spread) / whole)
