"""Maps from scores to probabilities: Platt's, isotonic and beta."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit

from crossrank.errors import InputError, ParameterError, nearest
from crossrank.plugin.optional import needs
from crossrank_calibration.labelled import Floats

UNBOUND = 1e9
"""The inverse strength of the regularisation, which is to do nothing."""

Labels = NDArray[np.bool_]

installed = needs("calibration", "calibration", "sklearn")
log = logging.getLogger(__name__)


def fit(method: str, scores: Floats, relevant: Labels) -> dict[str, Any]:
    """Return the parameters of `crossrank.Calibration` for some pairs.

    Parameters
    ----------
    method
        ``"platt"``, ``"isotonic"`` or ``"beta"``.
    scores, relevant
        ``[P]``.

    Raises
    ------
    ParameterError
        On another method.
    InputError
        Without pairs, or where all of them are of one class.
    """
    if method not in FITS:
        raise ParameterError(f"calibrate: no method {method!r}{nearest(method, FITS)}")
    if not len(scores):
        raise InputError("calibrate: there is no judged pair to fit on")
    positives = int(relevant.sum())
    if positives in (0, len(relevant)):
        kind = "relevant" if positives else "irrelevant"
        raise InputError(
            f"calibrate: all {len(relevant)} pairs are {kind}; give results with both, such as "
            "longer lists"
        )
    with installed():
        return FITS[method](scores, relevant)


def tell_separated(scores: Floats, relevant: Labels) -> bool:
    """Return whether a threshold separates the classes, and warn that it does."""
    apart = bool(scores[relevant].min() > scores[~relevant].max())
    if apart:
        log.warning(
            "calibrate: a threshold separates the %d relevant from the %d other pairs perfectly; "
            "how sure a score between them is cannot be told from these",
            int(relevant.sum()),
            int((~relevant).sum()),
        )
    return apart


def platt(scores: Floats, relevant: Labels) -> dict[str, Any]:
    """Return Platt's ``slope`` and ``intercept``: σ(slope · s + intercept).

    The targets are his, (N₊ + 1) / (N₊ + 2) and 1 / (N₋ + 2), which keep the slope finite where
    the classes are apart.

    Notes
    -----
    Platt, Probabilistic Outputs for Support Vector Machines, 1999.
    """
    centre, scale = _scale(scores)
    (slope,), intercept = _rising(((scores - centre) / scale)[:, None], relevant)
    return {"slope": slope / scale, "intercept": intercept - slope * centre / scale}


def isotonic(scores: Floats, relevant: Labels) -> dict[str, Any]:
    """Return the ``scores`` and ``probabilities`` of the rising steps that fit best.

    Notes
    -----
    Zadrozny and Elkan, Transforming Classifier Scores into Accurate Multiclass Probability
    Estimates, KDD 2002.
    """
    from sklearn.isotonic import IsotonicRegression

    regression = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    regression.fit(scores, relevant.astype(np.float64))
    return {
        "scores": regression.X_thresholds_.astype(np.float64).tolist(),
        "probabilities": regression.y_thresholds_.astype(np.float64).tolist(),
    }


def beta(scores: Floats, relevant: Labels) -> dict[str, Any]:
    """Return ``centre, scale, a, b, c``: σ(a ln q − b ln(1 − q) + c), q = σ of standardised scores.

    As in the paper a and b are not negative: one that would be is 0, and the rest fitted again.

    Notes
    -----
    Kull, Silva Filho and Flach, Beta Calibration, AISTATS 2017.
    """
    centre, scale = _scale(scores)
    z = (scores - centre) / scale
    features = np.column_stack([log_expit(z), -log_expit(-z)])
    (a, b), c = _rising(features, relevant)
    return {"centre": centre, "scale": scale, "a": a, "b": b, "c": c}


FITS: Mapping[str, Callable[[Floats, Labels], dict[str, Any]]] = {
    "platt": platt,
    "isotonic": isotonic,
    "beta": beta,
}


def _scale(scores: Floats) -> tuple[float, float]:
    deviation = float(scores.std())
    return float(scores.mean()), deviation if deviation > 0 else 1.0


def _rising(features: Floats, relevant: Labels) -> tuple[list[float], float]:
    """Return weights that are not negative, and an intercept: where all would be, there is no law.

    Parameters
    ----------
    features
        ``[P, F]``, each rising with the score.
    """
    weights, intercept = _logistic(features, relevant)
    if min(weights) >= 0:
        return weights, intercept
    kept = int(np.argmax(weights))
    (weight,), intercept = _logistic(features[:, [kept]], relevant)
    slopes = [0.0] * features.shape[1]
    if weight < 0:
        log.warning(
            "calibrate: the higher a score, the rarer is what is relevant; all pairs get the same "
            "probability"
        )
        share = float(_targets(relevant).mean())
        return slopes, float(np.log(share / (1 - share)))
    slopes[kept] = weight
    return slopes, intercept


def _targets(relevant: Labels) -> Floats:
    """Return Platt's targets."""
    positives = int(relevant.sum())
    return np.where(
        relevant, (positives + 1) / (positives + 2), 1 / (len(relevant) - positives + 2)
    )


def _logistic(features: Floats, relevant: Labels) -> tuple[list[float], float]:
    """Return weights and intercept of a regression on Platt's targets."""
    from sklearn.linear_model import LogisticRegression

    targets = _targets(relevant)
    # a pair of target t is one relevant pair of weight t and an irrelevant one of weight 1 − t
    regression = LogisticRegression(C=UNBOUND, tol=1e-10, max_iter=1000, solver="newton-cholesky")
    regression.fit(
        np.concatenate([features, features]),
        np.repeat([1, 0], len(features)),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    return regression.coef_[0].astype(float).tolist(), float(regression.intercept_[0])
