"""Calibration: what turns final scores into probabilities, and sorted ones into a confidence.

It is fitted elsewhere (``crossrank calibrate``); here it is read, written and applied.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._files.atomic import atomic_bytes
from crossrank._files.parsing import read_json
from crossrank._items.fingerprint import fingerprint
from crossrank._lists.statistics import Statistics
from crossrank.errors import CrossrankError, ParameterError, StoreError, nearest

FORMAT = "crossrank calibration 1"
FAR = 1e6

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Confidence:
    """A linear regression on a query's sorted scores.

    Parameters
    ----------
    weights
        Of the best score, the second, …
    intercept
        What is added.

    Notes
    -----
    Gisserot-Boukhlef et al., Towards Trustworthy Reranking, arXiv 2402.12997, section 3.
    """

    weights: tuple[float, ...]
    intercept: float

    def of(self, scores: Floats, mask: NDArray[np.bool_]) -> Floats:
        """Return ``[Q]`` the confidence in each ranking, 0 in an empty one.

        Parameters
        ----------
        scores, mask
            ``[Q, K]``, best first, the mask a prefix of every row.
        """
        features = sorted_features(scores, mask, len(self.weights))
        confidences = features @ np.array(self.weights) + self.intercept
        return np.where(mask.any(axis=1), confidences, 0.0)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Probabilities for the final scores of a pipeline.

    Parameters
    ----------
    method
        ``"platt"``, ``"isotonic"`` or ``"beta"``.
    parameters
        Platt: ``slope, intercept``, p = σ(slope · s + intercept).  Isotonic: ``scores,
        probabilities``, between which p is linear.  Beta: ``centre, scale, a, b, c``, with
        q = σ((s − centre) / scale), p = σ(a ln q − b ln(1 − q) + c).
    stages
        The names of the pipeline's stages; empty where the run does not tell.
    statistics
        Per stage, for ``WeightedSum(statistics=…)``.
    confidence
        For rankings; None for no opinion.
    report
        What was measured when it was fitted.

    Raises
    ------
    ParameterError
        On a method that there is not, or parameters that do not belong to it.
    """

    method: str
    parameters: Mapping[str, Any]
    stages: tuple[str, ...] = ()
    statistics: Mapping[str, Statistics] = field(default_factory=dict)
    confidence: Confidence | None = None
    report: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ParameterError(
                f"Calibration: no method {self.method!r}{nearest(self.method, METHODS)}"
            )
        names, _ = METHODS[self.method]
        if set(self.parameters) != set(names):
            raise ParameterError(
                f"Calibration: {self.method} has the parameters {', '.join(names)}, not "
                f"{', '.join(sorted(self.parameters)) or 'none'}"
            )
        for name in names:
            values = np.asarray(self.parameters[name], np.float64)
            if not np.isfinite(values).all() or not values.size:
                raise ParameterError(f"Calibration: {name} of {self.method} is not finite")
            falls = values.ndim and (np.diff(values) < 0).any()
            if falls or (name in NOT_NEGATIVE and values.min() < 0):
                raise ParameterError(
                    f"Calibration: by {name} of {self.method} probabilities fall where scores "
                    "rise; the best hits would be the first to be cut"
                )

    def probabilities(self, scores: Floats) -> Floats:
        """Return the probability that a pair with such a score is relevant, in its shape.

        Parameters
        ----------
        scores
            Final scores; NaN and −∞ give NaN and the lowest probability.
        """
        _, apply = METHODS[self.method]
        return np.clip(apply(np.asarray(scores, np.float64), self.parameters), 0.0, 1.0)

    def of_stage(self, name: str) -> Statistics:
        """Return the statistics of a stage.

        Raises
        ------
        ParameterError
            If the run it was fitted on had no such stage, or was a run file, which holds none.
        """
        if name in self.statistics:
            return self.statistics[name]
        if not self.statistics:
            raise ParameterError(
                f"stage {name!r}: the calibration holds no statistics of stages; make it of "
                "rankings.safetensors (crossrank rerank --out), not of a run file"
            )
        raise ParameterError(
            f"stage {name!r}: the calibration holds statistics of "
            f"{', '.join(self.statistics)} only{nearest(name, self.statistics)}"
        )

    def fingerprint(self) -> str:
        """Return a digest of all but the report."""
        return fingerprint(
            {name: value for name, value in self.to_dict().items() if name != "report"}
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration as JSON can hold it."""
        return {
            "format": FORMAT,
            "method": self.method,
            "parameters": {
                name: np.asarray(value, np.float64).tolist()
                for name, value in self.parameters.items()
            },
            "stages": list(self.stages),
            "statistics": {
                stage: {name: getattr(each, name) for name in Statistics.__slots__}
                for stage, each in self.statistics.items()
            },
            "confidence": None
            if self.confidence is None
            else {
                "weights": list(self.confidence.weights),
                "intercept": self.confidence.intercept,
            },
            "report": dict(self.report),
        }

    def save(self, path: str | Path) -> None:
        """Write it as JSON; the file appears when it is complete."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        atomic_bytes(Path(path), text.encode())

    @classmethod
    def open(cls, path: str | Path) -> Calibration:
        """Read what `save` wrote.

        Raises
        ------
        StoreError
            If the file is missing, truncated or foreign.
        """
        try:
            record = read_json(Path(path))
            if record["format"] != FORMAT:
                raise ValueError(f"its format is {record['format']!r}")
            confidence = record["confidence"]
            return cls(
                method=record["method"],
                parameters=dict(record["parameters"]),
                stages=tuple(record["stages"]),
                statistics={
                    name: Statistics(**each) for name, each in record["statistics"].items()
                },
                confidence=None
                if confidence is None
                else Confidence(tuple(confidence["weights"]), float(confidence["intercept"])),
                report=dict(record["report"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, CrossrankError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise StoreError(
                f"{path} holds no calibration that can be read: {what}; make it with "
                "crossrank calibrate"
            ) from error


def sorted_features(scores: Floats, mask: NDArray[np.bool_], count: int) -> Floats:
    """Return ``[Q, count]`` the best scores, a short list's last one repeated; 0 for an empty one.

    Rows of the ``[Q, K]`` scores stand best first, and their mask is a prefix.
    """
    lengths = mask.sum(axis=1)
    if not scores.shape[1]:
        return np.zeros((len(scores), count))
    places = np.minimum(np.arange(count), np.maximum(lengths, 1)[:, None] - 1)
    best = np.take_along_axis(np.where(mask, scores, 0.0), places, axis=1)
    return np.asarray(best, np.float64)


def as_calibration(given: Calibration | str | Path) -> Calibration:
    """Return a calibration, read from a file if it is a path."""
    if isinstance(given, Calibration):
        return given
    if isinstance(given, str | Path):
        return Calibration.open(given)
    raise ParameterError(f"a calibration is {given!r:.80}; give a Calibration or its file")


def _platt(scores: Floats, parameters: Mapping[str, Any]) -> Floats:
    return _expit(parameters["slope"] * scores + parameters["intercept"])


def _isotonic(scores: Floats, parameters: Mapping[str, Any]) -> Floats:
    known = np.asarray(parameters["scores"], np.float64)
    return np.interp(scores, known, np.asarray(parameters["probabilities"], np.float64))


def _beta(scores: Floats, parameters: Mapping[str, Any]) -> Floats:
    # beyond there all is certain, and an infinite score would be nothing times infinity
    z = np.clip((scores - parameters["centre"]) / parameters["scale"], -FAR, FAR)
    logit = parameters["a"] * _log_expit(z) - parameters["b"] * _log_expit(-z) + parameters["c"]
    return _expit(logit)


NOT_NEGATIVE = ("slope", "a", "b")
METHODS: dict[str, tuple[tuple[str, ...], Callable[[Floats, Mapping[str, Any]], Floats]]] = {
    "platt": (("slope", "intercept"), _platt),
    "isotonic": (("scores", "probabilities"), _isotonic),
    "beta": (("centre", "scale", "a", "b", "c"), _beta),
}
"""Per method its parameters, and how it is applied."""


def _log_expit(values: Floats) -> Floats:
    """Return log(1 / (1 + e^-x)), which neither overflows nor loses small values."""
    return -np.logaddexp(0.0, -values)


def _expit(values: Floats) -> Floats:
    """Return 1 / (1 + e^-x); scipy's takes a sixth of a second to import."""
    return np.exp(_log_expit(values))
