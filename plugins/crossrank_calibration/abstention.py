"""Whether to answer at all: a confidence in each ranking, and what it is worth.

Gisserot-Boukhlef et al., Towards Trustworthy Reranking: A Simple yet Effective Abstention
Mechanism, arXiv 2402.12997.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

import crossrank as cr
from crossrank.errors import InputError
from crossrank_calibration.labelled import Floats, Labelled
from crossrank_calibration.maps import installed

BEST = 10
"""Sorted scores that the regression looks at."""


def features(data: Labelled) -> Floats:
    """Return ``[Q, BEST]`` the best scores of each list, a short list's last one repeated."""
    lengths = np.maximum(data.mask.sum(axis=1), 1)
    places = np.minimum(np.arange(BEST), lengths[:, None] - 1)
    return np.take_along_axis(data.scores, places, axis=1)


def fit_confidence(data: Labelled, rows: np.ndarray | None = None) -> cr.Confidence:
    """Return the linear regression of reciprocal ranks on sorted scores.

    Parameters
    ----------
    data
        Judged lists.
    rows
        Which of them, as a mask or places; all by default.
    """
    chosen = slice(None) if rows is None else rows
    with installed():
        from sklearn.linear_model import Ridge
    inputs, targets = features(data)[chosen], data.reciprocal_ranks()[chosen]
    spread = inputs.std()
    # equal columns, as those of short lists, leave plain least squares undetermined
    found = Ridge(alpha=1e-6 * max(float(spread) ** 2, 1e-12) * len(inputs)).fit(inputs, targets)
    return cr.Confidence(tuple(map(float, found.coef_)), float(found.intercept_))


def simple_confidences(data: Labelled) -> dict[str, Floats]:
    """Return ``[Q]`` confidences without a regression: best score, gap to the second, deviation."""
    scores = np.where(data.mask, data.scores, np.nan)
    gap = np.zeros(len(scores))
    if scores.shape[1] > 1:
        gap = np.nan_to_num(scores[:, 0] - scores[:, 1])
    lengths = np.maximum(data.mask.sum(axis=1), 1)
    mean = np.where(data.mask, data.scores, 0).sum(axis=1) / lengths
    away = np.where(data.mask, data.scores - mean[:, None], 0)
    return {
        "max": np.nan_to_num(scores[:, 0]),
        "gap": gap,
        "deviation": np.sqrt((away**2).sum(axis=1) / lengths),
    }


def normalised_auc(confidences: ArrayLike, values: ArrayLike) -> float | None:
    """Return where a confidence lies between chance (0) and an oracle (1).

    The curve is the mean metric of the answered queries over the share that is answered, the most
    confident first; nAUC = (its area − that of a flat one) / (that of the oracle − the flat one).

    Parameters
    ----------
    confidences, values
        ``[Q]`` the confidence in each ranking, and its metric.

    Returns
    -------
    float or None
        None where all values are the same: there is nothing to tell apart.

    Raises
    ------
    InputError
        If they are empty or of different length.
    """
    confidence = np.asarray(confidences, np.float64).ravel()
    metric = np.asarray(values, np.float64).ravel()
    if confidence.shape != metric.shape or not len(confidence):
        raise InputError(
            f"normalised_auc: {len(confidence)} confidences for {len(metric)} values; give one for "
            "each"
        )
    flat, best = metric.mean(), _area(metric, metric)
    if not best > flat:
        return None
    return float((_area(confidence, metric) - flat) / (best - flat))


def _area(confidences: Floats, values: Floats) -> float:
    """Return the mean over all shares; equally confident queries come in as their mean."""
    order = np.argsort(-confidences, kind="stable")
    _, group, counts = np.unique(-confidences[order], return_inverse=True, return_counts=True)
    means = np.bincount(group, weights=values[order]) / counts
    ordered = means[group]
    return float((np.cumsum(ordered) / np.arange(1, len(ordered) + 1)).mean())
