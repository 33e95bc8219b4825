"""How much a question is expected to tell about which candidate is the right one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

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
        raise InputError(f"expected_drop: known is {known!r:.80}; give a probability")
    of_answers = entr(weights @ answers).sum()
    of_answers_per_candidate = weights @ entr(answers).sum(axis=1)
    # rounding may leave a hair below 0 where an answer tells nothing
    return float(known * max(of_answers - of_answers_per_candidate, 0.0))


def expected_gain(prior: ArrayLike, likelihood: ArrayLike) -> float:
    """Return how many nats the answers that are given are expected to tell.

    ``Σ_a P(a) KL(candidate | a ‖ prior)`` over the answers that count: what the rows lack of 1 is
    "unknown", or an answer that changes no query, and adds nothing.  With rows of sum 1 it is
    `expected_drop`.

    Parameters
    ----------
    prior
        ``[n]`` how likely each candidate is; scaled to a sum of 1.
    likelihood
        ``[n, V]`` how likely each answer is for each candidate; rows sum to 1 at most.

    Raises
    ------
    InputError
        On shapes that do not fit, or what is no probability.

    Examples
    --------
    >>> round(expected_gain([0.5, 0.5], [[1.0], [0.0]]), 6)  # "yes" tells all, "no" nothing
    0.346574
    """
    weights = _distribution("prior", prior)
    answers = np.asarray(likelihood, np.float64)
    if weights.ndim != 1 or answers.ndim != 2 or len(weights) != len(answers):
        raise InputError(
            f"expected_gain: prior {weights.shape} and likelihood {answers.shape}; give [n], [n, V]"
        )
    if not ((answers >= 0).all() and (answers.sum(axis=1) <= 1 + 1e-9).all()):
        raise InputError("expected_gain: a row of likelihood has a sum over 1 or a number below 0")
    joint = weights[:, None] * answers
    marginal = joint.sum(axis=0)
    # Σ_a Σ_n P(n, a) log(P(n, a) / P(n) P(a)) = Σ P(n) P(a|n) log P(a|n) − Σ P(a) log P(a)
    return float(max(entr(marginal).sum() - weights @ entr(answers).sum(axis=1), 0.0))


def _distribution(name: str, values: ArrayLike) -> Floats:
    array = np.asarray(values, np.float64)
    if array.size == 0 or array.ndim == 0 or not np.isfinite(array).all() or (array < 0).any():
        raise InputError(f"expected_drop: {name} {array.shape} must be probabilities, at least one")
    total = array.sum(axis=-1, keepdims=True)
    if (total == 0).any():
        raise InputError(f"expected_drop: a row of {name} is all 0; leave it out")
    scaled: Floats = array / total
    return scaled
