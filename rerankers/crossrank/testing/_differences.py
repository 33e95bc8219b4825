"""Telling results apart, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from crossrank._items.feature import json_like
from crossrank.testing._check import require

TOLERANCE = 1e-5
"""How far equal results may lie apart: absolutely, and beyond 1 relative to their size."""

PairScores: TypeAlias = Mapping[tuple[str, str], float | None]
"""The score of every pair of query and candidate ids; None where the scorer abstains."""

ItemFeatures: TypeAlias = Mapping[str, Mapping[str, Any]]
"""By item id the features of each item."""


def require_same_scores(
    expected: PairScores, found: PairScores, when: str, mend: str, tolerance: float = TOLERANCE
) -> None:
    """Refuse scores that differ from those expected for the same pairs; `found` may hold fewer.

    `when` says what changed in between, as in "… with one query a block", and `mend` how to keep
    the promise.  A tolerance of 0 asks for the same bits.
    """
    for pair, now in found.items():
        before = expected[pair]
        require(
            _same_score(before, now, tolerance),
            f"the score of query {pair[0]!r} and candidate {pair[1]!r} is {_said(before)}, but "
            f"{_said(now)} {when}; {mend}",
        )


def require_same_features(
    expected: ItemFeatures,
    found: ItemFeatures,
    when: str,
    mend: str,
    tolerance: float = TOLERANCE,
) -> None:
    """Refuse features that differ from those expected of the same items, see `require_same_scores`.

    `found` may hold fewer items, and fewer features of them.
    """
    for id, features in found.items():
        for name, now in features.items():
            away = _distance(expected[id][name], now)
            require(
                away <= tolerance,
                f"{name!r} of item {id!r} differs by {away:.2g} {when}; {mend}",
            )


def _same_score(before: float | None, now: float | None, tolerance: float) -> bool:
    if before is None or now is None:
        return before is now
    if not (np.isfinite(before) and np.isfinite(now)):
        # that scores are finite is another promise
        return bool(np.array_equal(before, now, equal_nan=True))
    return abs(before - now) <= tolerance * max(1.0, abs(before))


def _distance(before: Any, now: Any) -> float:
    """Return the largest difference relative to the larger of 1 and the entry's own size."""
    if not isinstance(before, np.ndarray):
        return 0.0 if json_like(before) == json_like(now) else np.inf
    if not isinstance(now, np.ndarray) or before.shape != now.shape:
        return np.inf
    if before.size == 0:
        return 0.0
    wide = before.astype(np.float64)
    # whether numbers are finite is another promise
    away = np.nan_to_num(np.abs(wide - now.astype(np.float64))).max()
    return float(away / max(1.0, np.nan_to_num(np.abs(wide)).max()))


def _said(score: float | None) -> str:
    return "abstained from" if score is None else f"{score:.8g}"
