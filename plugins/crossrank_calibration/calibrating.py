"""Fitting a calibration, and measuring it on queries it was not fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.errors import InputError
from crossrank.evaluation import QrelsLike, cluster_folds
from crossrank.plugin.parameters import checked, integer
from crossrank_calibration.abstention import fit_confidence, normalised_auc, simple_confidences
from crossrank_calibration.bins import (
    expected_calibration_error,
    reliability,
    taken_for_probabilities,
)
from crossrank_calibration.labelled import Floats, Labelled, RunLike
from crossrank_calibration.maps import fit, tell_separated


def calibrate(
    run: RunLike,
    qrels: QrelsLike,
    method: str = "platt",
    *,
    folds: int = 5,
    seed: int = 0,
) -> cr.Calibration:
    """Fit probabilities and a confidence on judged results.

    Parameters
    ----------
    run
        Rankings, a run ``{query: {candidate: score}}``, or a file in TREC format.  Rankings also
        give the statistics of their stages, for ``WeightedSum(statistics=…)``.
    qrels
        See `crossrank.evaluate`.
    method
        ``"platt"``, ``"isotonic"`` or ``"beta"``.
    folds
        For the report everything is fitted without a part of the queries and measured on it, as
        often as this; queries with the same relevant items, such as captions of one image, are in
        the same part.
    seed
        Of the parts.

    Returns
    -------
    crossrank.Calibration
        Fitted on all queries; its `report` is measured across the parts, see `measured`.

    Raises
    ------
    InputError
        If no query is judged, or all pairs are relevant or none is.
    ParameterError
        On another method, or fewer than 2 folds.
    MissingPackageError
        Without scikit-learn.

    Examples
    --------
    >>> from crossrank_calibration import calibrate
    >>> calibrate(rankings_val, qrels_val).save("filip.json")  # doctest: +SKIP
    >>> cr.Pipeline("filip", calibration="filip.json")  # doctest: +SKIP
    """
    checked("calibrate", "folds", folds, integer(2))
    data = Labelled.of(run, qrels)
    scores, relevant = data.pairs()
    fitted = fit(method, scores, relevant)
    apart = tell_separated(scores, relevant)
    stages = run.stages if isinstance(run, cr.Rankings) else ()
    calibration = cr.Calibration(
        method,
        fitted,
        tuple(stage.name for stage in stages),
        {stage.name: stage.statistics for stage in stages if stage.statistics is not None},
        fit_confidence(data),
    )
    probabilities, confidences, crossed = _crossed(data, calibration, folds, seed)
    report = {
        **_measured(data, probabilities, confidences),
        "cross_fitted": crossed,
        "separated": apart,
    }
    return replace(calibration, report=report)


def measured(
    calibration: cr.Calibration | str | Path, run: RunLike, qrels: QrelsLike
) -> dict[str, Any]:
    """Measure a calibration on the judged results of another split.

    Returns
    -------
    dict
        ``queries, pairs, relevant``; ``ece``, ``ece_first`` (of first hits alone) and ``brier``,
        each ``before`` and ``after``; the bins of the two reliability diagrams; and the normalised
        area under the abstention curve of each confidence, by reciprocal rank.

    Raises
    ------
    InputError
        If no query is judged.
    """
    given = (
        calibration if isinstance(calibration, cr.Calibration) else cr.Calibration.open(calibration)
    )
    data = Labelled.of(run, qrels)
    confidences = None if given.confidence is None else given.confidence.of(data.scores, data.mask)
    return _measured(data, given.probabilities(data.scores), confidences)


def _crossed(
    data: Labelled, whole: cr.Calibration, folds: int, seed: int
) -> tuple[Floats, Floats, int]:
    """Return probabilities and confidences of each query, fitted without it, and the parts.

    0 parts where they cannot be made: then those of the whole fit are returned.
    """
    confidence = whole.confidence
    if confidence is None:
        raise InputError("calibrate: there is no confidence to measure")
    part = cluster_folds(data.clusters, folds, seed)
    probabilities, confidences = np.empty(data.scores.shape), np.empty(len(data.scores))
    count = int(part.max()) + 1
    for fold in range(count):
        without, within = part != fold, part == fold
        scores, relevant = data.pairs(without)
        if len(relevant) == 0 or relevant.all() or not relevant.any():
            return (
                whole.probabilities(data.scores),
                confidence.of(data.scores, data.mask),
                0,
            )
        fitted = cr.Calibration(whole.method, fit(whole.method, scores, relevant))
        probabilities[within] = fitted.probabilities(data.scores[within])
        own = fit_confidence(data, without)
        confidences[within] = own.of(data.scores[within], data.mask[within])
    return probabilities, confidences, count


def _measured(data: Labelled, probabilities: Floats, confidences: Floats | None) -> dict[str, Any]:
    scores, relevant = data.pairs()
    naive = np.zeros(data.scores.shape)
    naive[data.mask] = taken_for_probabilities(scores)
    first = data.mask[:, 0]
    sides = {"before": naive, "after": probabilities}
    report: dict[str, Any] = {
        "queries": len(data.scores),
        "pairs": len(scores),
        "relevant": int(relevant.sum()),
        "ece": {
            name: expected_calibration_error(p[data.mask], relevant) for name, p in sides.items()
        },
        "ece_first": {
            name: expected_calibration_error(p[first, 0], data.relevant[first, 0])
            for name, p in sides.items()
        },
        "brier": {
            name: float(((p[data.mask] - relevant) ** 2).mean()) for name, p in sides.items()
        },
        "bins": {
            name: [asdict(each) for each in reliability(p[data.mask], relevant)]
            for name, p in sides.items()
        },
    }
    named: Mapping[str, Floats] = simple_confidences(data)
    if confidences is not None:
        named = {"regression": confidences, **named}
    worth = data.reciprocal_ranks()
    report["nauc"] = {name: normalised_auc(each, worth) for name, each in named.items()}
    return report
