"""Weights of a sum, one after the other, until none gets better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossrank_fuse.features import Booleans, Floats, mean_reciprocal_rank

STEPS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
MOST_ROUNDS = 10


def coordinate_search(
    features: Floats,
    mask: Booleans,
    relevant: Booleans,
    steps: Sequence[float] = STEPS,
) -> Floats:
    """Return ``[F]`` weights with a high mean reciprocal rank; that of the base stays 1.

    Parameters
    ----------
    features
        ``[Q, K, F]``, the base first.
    mask, relevant
        ``[Q, K]`` the taken places, and the relevant ones.
    steps
        What each weight is tried with.  All begin at 1, and of equal results the weight nearest to
        1 stays.
    """
    weights = np.ones(features.shape[2])
    best = mean_reciprocal_rank(features @ weights, mask, relevant)
    for _ in range(MOST_ROUNDS):
        before = weights.copy()
        for place in range(1, len(weights)):
            rest = features @ weights - features[:, :, place] * weights[place]
            for step in sorted(steps, key=lambda each: abs(each - 1)):
                found = mean_reciprocal_rank(rest + step * features[:, :, place], mask, relevant)
                if found > best + 1e-12:
                    best, weights[place] = found, step
        if np.array_equal(before, weights):
            break
    return weights
