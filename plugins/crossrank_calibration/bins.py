"""How far probabilities are from frequencies: reliability diagrams and their summary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from crossrank.errors import InputError
from crossrank_calibration.labelled import Floats

BINS = 15


@dataclass(frozen=True, slots=True)
class Bin:
    """Pairs of about the same probability.

    Parameters
    ----------
    low, high
        Its limits; the upper one belongs to it.
    count
        How many pairs.
    probability, frequency
        Their mean probability, and how many of them are relevant; None for an empty bin.
    """

    low: float
    high: float
    count: int
    probability: float | None
    frequency: float | None


def reliability(probabilities: ArrayLike, relevant: ArrayLike, bins: int = BINS) -> list[Bin]:
    """Return bins of equal width.

    Parameters
    ----------
    probabilities, relevant
        ``[P]`` in [0, 1], and whether each pair is relevant.
    bins
        How many.

    Raises
    ------
    InputError
        If they are of different length, or no probabilities.
    """
    p, y = np.asarray(probabilities, np.float64).ravel(), np.asarray(relevant, np.bool_).ravel()
    if p.shape != y.shape:
        raise InputError(f"reliability: {len(p)} probabilities for {len(y)} labels")
    if not ((p >= 0) & (p <= 1)).all():
        raise InputError("reliability: a probability is not in [0, 1]")
    edges = np.linspace(0, 1, bins + 1)
    places = np.clip(np.searchsorted(edges, p, side="left") - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    sums = np.bincount(places, weights=p, minlength=bins)
    hits = np.bincount(places, weights=y, minlength=bins)
    return [
        Bin(
            float(edges[n]),
            float(edges[n + 1]),
            int(count),
            float(sums[n] / count) if count else None,
            float(hits[n] / count) if count else None,
        )
        for n, count in enumerate(counts)
    ]


def expected_calibration_error(
    probabilities: ArrayLike, relevant: ArrayLike, bins: int = BINS
) -> float:
    """Return ``Σ count / P · |frequency − probability|`` over bins of equal width.

    Raises
    ------
    InputError
        As `reliability`.

    Notes
    -----
    Naeini, Cooper and Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning,
    AAAI 2015.
    """
    found = reliability(probabilities, relevant, bins)
    total = sum(each.count for each in found)
    off = sum(
        each.count * abs(each.frequency - each.probability)
        for each in found
        if each.frequency is not None and each.probability is not None
    )
    return off / total if total else 0.0


def taken_for_probabilities(scores: Floats) -> Floats:
    """Return what scores are as probabilities without a calibration.

    Themselves where all lie in [0, 1], else σ of them.
    """
    if len(scores) and scores.min() >= 0 and scores.max() <= 1:
        return scores
    found: Floats = expit(scores)
    return found
