"""Probabilities and confidences against loops, published definitions and scikit-learn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossrank as cr
from crossrank.errors import InputError, ParameterError
from crossrank_calibration import (
    Labelled,
    calibrate,
    expected_calibration_error,
    measured,
    normalised_auc,
    reliability,
)
from toys.calibration import METHODS, judged


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_are_the_frequencies(method: str) -> None:
    fitted = calibrate(*judged(), method)
    report = measured(fitted, *judged(400, seed=1))
    assert report["ece"]["after"] < 0.05 < report["ece"]["before"]
    assert report["ece"]["after"] < report["ece"]["before"] / 2
    assert fitted.report["cross_fitted"] == 5
    rising = fitted.probabilities(np.linspace(-4, 4, 50))
    assert (np.diff(rising) >= 0).all()


def test_platt_is_the_most_likely_sigmoid() -> None:
    """Against a search over slope and intercept of Platt's own likelihood."""
    from scipy.optimize import minimize

    data = Labelled.of(*judged(30))
    scores, relevant = data.pairs()
    positives = int(relevant.sum())
    high, low = (positives + 1) / (positives + 2), 1 / (len(relevant) - positives + 2)

    def loss(ab: Any) -> float:
        total = 0.0
        for score, label in zip(scores.tolist(), relevant.tolist(), strict=True):
            p = 1 / (1 + math.exp(-(ab[0] * score + ab[1])))
            t = high if label else low
            total -= t * math.log(p) + (1 - t) * math.log(1 - p)
        return total

    best = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-7}).x
    found = calibrate(*judged(30)).parameters
    np.testing.assert_allclose([found["slope"], found["intercept"]], best, rtol=1e-3)


def test_a_threshold_means_the_same_on_two_scales() -> None:
    one = calibrate(*judged(scale=1.0))
    other = calibrate(*judged(scale=0.02, shift=7.0))
    z = np.linspace(-2, 2, 9)
    np.testing.assert_allclose(
        one.probabilities(z), other.probabilities(7 + 0.02 * z), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_file_gives_it_back(method: str, tmp_path: Path) -> None:
    fitted = calibrate(*judged(), method)
    fitted.save(tmp_path / "c.json")
    found = cr.Calibration.open(tmp_path / "c.json")
    s = np.linspace(-3, 3, 20)
    np.testing.assert_allclose(found.probabilities(s), fitted.probabilities(s))
    assert found.fingerprint() == fitted.fingerprint()
    assert found.confidence == fitted.confidence


def naive_ece(p: list[float], y: list[bool], bins: int) -> float:
    total = 0.0
    for n in range(bins):
        low, high = n / bins, (n + 1) / bins
        members = [
            (a, b) for a, b in zip(p, y, strict=True) if low < a <= high or (n == 0 and a == 0)
        ]
        if members:
            accuracy = sum(b for _, b in members) / len(members)
            confidence = math.fsum(a for a, _ in members) / len(members)
            total += len(members) / len(p) * abs(accuracy - confidence)
    return total


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40),
    st.integers(1, 12),
)
def test_the_error_is_that_of_its_definition(pairs: list[tuple[float, bool]], bins: int) -> None:
    p, y = [each[0] for each in pairs], [each[1] for each in pairs]
    edges = {n / bins for n in range(bins + 1)}
    if any(min(abs(each - edge) for edge in edges) < 1e-9 for each in p):
        return
    assert expected_calibration_error(p, y, bins) == pytest.approx(naive_ece(p, y, bins))
    assert sum(each.count for each in reliability(p, y, bins)) == len(p)


def test_a_published_figure() -> None:
    """Guo et al. 2017 define ECE; three pairs by hand."""
    assert expected_calibration_error([0.25, 0.3, 0.9], [False, True, True], 2) == pytest.approx(
        2 / 3 * abs(0.5 - 0.275) + 1 / 3 * 0.1
    )


def test_confidence_is_worth_what_it_orders() -> None:
    values = [1.0, 0.5, 0.25, 0.0]
    assert normalised_auc(values, values) == pytest.approx(1)
    assert normalised_auc([0, 0, 0, 0], values) == pytest.approx(0)
    worst = normalised_auc([-v for v in values], values)
    assert worst is not None and worst < 0
    assert normalised_auc([1, 2, 3, 4], [0.5] * 4) is None
    # by hand: the most confident 1, 2, 3 and 4 are kept
    told = normalised_auc([4, 2, 3, 1], values)
    area = (1 + 0.625 + (1 + 0.25 + 0.5) / 3 + 0.4375) / 4
    oracle = (1 + 0.75 + 1.75 / 3 + 0.4375) / 4
    assert told == pytest.approx((area - 0.4375) / (oracle - 0.4375))


def test_the_regression_is_that_of_the_sorted_scores() -> None:
    from numpy.linalg import lstsq

    run, qrels = judged(80)
    fitted = calibrate(run, qrels)
    assert fitted.confidence is not None
    rows, targets = [], []
    for query, members in run.items():
        order = [each for each, _ in sorted(members.items(), key=lambda member: -member[1])]
        rows.append([members[id] for id in order[:10]] + [1.0])
        ranks = [n for n, id in enumerate(order, 1) if id in qrels[query]]
        targets.append(1 / ranks[0] if ranks else 0.0)
    wanted = lstsq(np.array(rows), np.array(targets), rcond=None)[0]
    np.testing.assert_allclose(fitted.confidence.weights, wanted[:-1], rtol=1e-2, atol=1e-3)


def test_perfectly_separated_classes(caplog: pytest.LogCaptureFixture) -> None:
    run = {f"q{n}": {"a": 2.0 + n / 10, "b": 0.0, "c": -1.0} for n in range(10)}
    qrels = {query: {"a": 1} for query in run}
    for method in METHODS:
        fitted = calibrate(run, qrels, method)
        p = fitted.probabilities(np.array([2.5, -1.0, -np.inf, np.inf]))
        assert np.isfinite(p).all() and p[0] > 0.8 and p[1] < 0.2
        assert fitted.report["separated"]
    assert "separates the 10 relevant from the 20 other pairs perfectly" in caplog.text


@pytest.mark.parametrize(
    ("run", "qrels", "says"),
    [
        ({"q": {"a": 1.0}}, {"p": {"a": 1}}, "none of the run's 1 queries is judged"),
        ({"q": {"a": 1.0, "b": 0.0}}, {"q": {"c": 1}}, "all 2 pairs are irrelevant"),
        ({"q": {"a": 1.0, "b": 0.0}}, {"q": {"a": 1, "b": 1}}, "all 2 pairs are relevant"),
        ({"q": {}}, {"q": {"a": 1}}, "list nothing"),
        ({"q": {"a": None}}, {"q": {"a": 1}}, "no scores"),
    ],
)
def test_splits_that_tell_nothing(run: Any, qrels: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        calibrate(run, qrels)


def test_scores_that_rise_with_irrelevance_tell_nothing(caplog: pytest.LogCaptureFixture) -> None:
    run, qrels = judged(30)
    turned = {query: {id: -score for id, score in row.items()} for query, row in run.items()}
    for method in METHODS:
        p = calibrate(turned, qrels, method).probabilities(np.array([-3.0, 0.0, 3.0]))
        assert (np.diff(p) >= 0).all() and np.ptp(p) < 0.05
    assert "the rarer is what is relevant" in caplog.text
    for parameters in ({"slope": -1.0, "intercept": 0.0},):
        with pytest.raises(ParameterError, match="fall where scores rise"):
            cr.Calibration("platt", parameters)


def test_bad_parameters() -> None:
    run, qrels = judged(8)
    with pytest.raises(ParameterError, match="no method 'plat'"):
        calibrate(run, qrels, "plat")
    for folds in (1, 2.5, True):
        with pytest.raises(ParameterError, match="folds"):
            calibrate(run, qrels, folds=folds)  # type: ignore[arg-type]


def test_queries_without_judgements_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    run, qrels = judged(8)
    del qrels["q3"]
    assert calibrate(run, qrels).report["queries"] == 7
    assert "1 of 8 queries are not judged" in caplog.text


def test_one_relevant_pair_is_not_cross_fitted() -> None:
    run = {"q": {"a": 1.0, "b": 0.0}, "p": {"c": 1.0}}
    assert calibrate(run, {"q": {"a": 1}, "p": {"x": 1}}).report["cross_fitted"] == 0
