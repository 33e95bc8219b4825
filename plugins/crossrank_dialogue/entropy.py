"""How much a question is expected to tell about which candidate is the right one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, softmax

from crossrank.errors import InputError

Floats = NDArray[np.float64]


def expected_drop(prior: ArrayLike, likelihood: ArrayLike, known: float = 1.0) -> float:
    """Return by how many nats an answer is expected to lower the entropy over the candidates.

    ``P(known) · (H(prior) − Σ_a P(a) H(candidate | a))``, the mutual information of candidate and
    answer: an answer "unknown" leaves the candidates as they were and counts neither way.

    Parameters
    ----------
    prior
        ``[n]`` how likely each candidate is; scaled to a sum of 1.
    likelihood
        ``[n, V]`` how likely each answer is for each candidate; rows are scaled to a sum of 1.
    known
        How likely the question is to be answered at all.

    Raises
    ------
    InputError
        On shapes that do not fit, or what is no probability.

    Examples
    --------
    >>> round(expected_drop([0.5, 0.5], [[1.0, 0.0], [0.0, 1.0]]), 6)
    0.693147
    >>> expected_drop([0.5, 0.5], [[0.3, 0.7], [0.3, 0.7]])
    0.0
    """
    weights = _distribution("prior", prior)
    answers = _distribution("likelihood", likelihood)
    if weights.ndim != 1 or answers.ndim != 2 or len(weights) != len(answers):
        raise InputError(
            f"expected_drop: prior {weights.shape} and likelihood {answers.shape}; give [n], [n, V]"
        )
    if not 0 <= known <= 1:
        raise InputError(f"expected_drop: known is {known!r}; give a probability")
    of_answers = entr(weights @ answers).sum()
    of_answers_per_candidate = weights @ entr(answers).sum(axis=1)
    # rounding may leave a hair below 0 where an answer tells nothing
    return float(known * max(of_answers - of_answers_per_candidate, 0.0))


def prior_of(scores: ArrayLike, sharpness: float) -> Floats:
    """Return ``[n]`` the softmax of scores times a sharpness: how likely each candidate is."""
    values: Floats = softmax(sharpness * np.asarray(scores, np.float64))
    return values


def _distribution(name: str, values: ArrayLike) -> Floats:
    array = np.asarray(values, np.float64)
    if array.size == 0 or array.ndim == 0 or not np.isfinite(array).all() or (array < 0).any():
        raise InputError(f"expected_drop: {name} {array.shape} must be probabilities, at least one")
    total = array.sum(axis=-1, keepdims=True)
    if (total == 0).any():
        raise InputError(f"expected_drop: a row of {name} is all 0; leave it out")
    scaled: Floats = array / total
    return scaled
