"""Tests and intervals equal those of scipy, one at a time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from crossrank.evaluation._significance import Significance, cluster_sums, randomisation_test
from crossrank_ablation.statistics import (
    Comparison,
    compared,
    enough_resamples,
    holm,
    t_tests,
)


def test_t_tests_are_scipys() -> None:
    rng = np.random.default_rng(0)
    after, before = rng.normal(size=(2, 4, 30))
    after[3] = before[3]
    found = t_tests(after, before)
    for row in range(3):
        assert found[row] == pytest.approx(ttest_rel(after[row], before[row]).pvalue, rel=1e-12)
    assert np.isnan(found[3])


def test_holm_by_hand() -> None:
    # Holm 1979: 0.01·4, 0.02·3, max(0.03·2, before), 0.04·1 → monotone
    found = holm(np.array([0.04, 0.01, np.nan, 0.03, 0.02]))
    np.testing.assert_allclose(found, [0.06, 0.04, np.nan, 0.06, 0.06])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.zeros(0)).tolist() == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_what_stepping_down_rejects(values: list[float], alpha: float) -> None:
    adjusted = holm(np.array(values))
    order = sorted(range(len(values)), key=lambda place: values[place])
    for step, place in enumerate(order):  # the definition: stop at the first that is too large
        if values[place] * (len(values) - step) > alpha:
            break
        assert adjusted[place] <= alpha
    else:
        step = len(values)
    if step < len(values):
        assert all(adjusted[place] > alpha for place in order[step:])
    assert all(adjusted[a] <= adjusted[b] for a, b in pairwise(order))
    assert (adjusted >= values).all()


def test_compared_counts_wins_and_corrects_over_the_table() -> None:
    rng = np.random.default_rng(2)
    clusters = np.repeat(np.arange(10), 3)
    before = rng.random((2, 30))
    after = [np.add(before, [[0.5], [-0.5]]), before.copy()]
    found = compared(
        after,
        [before, before],
        [np.array([0.5, -0.5]), np.zeros(2)],
        np.array([True, True]),
        np.array([1.0, -1.0]),  # the second metric is better when lower
        clusters,
        Significance(resamples=2000),
    )
    first, second = found[0]
    assert (first.wins, first.ties, first.losses) == (30, 0, 0)
    assert (second.wins, second.losses) == (30, 0)
    assert found[1][0] == Comparison(0.0, 0.0, 0.0, 1.0, None, 1.0, None, 0, 30, 0)
    sums, _ = cluster_sums(after[0] - before, clusters)
    assert first.p_value == randomisation_test(sums, 2000)[0] == 2 / 1024  # all swaps
    assert first.p_holm == pytest.approx(4 * 2 / 1024)


def test_medians_and_single_clusters_are_not_tested() -> None:
    values = [np.array([[1.0, 2.0], [3.0, 4.0]])]
    for tested, clusters in (([False, False], [0, 1]), ([True, True], [0, 0])):
        found = compared(
            values,
            [values[0] * 0],
            [np.ones(2)],
            np.array(tested),
            np.ones(2),
            np.array(clusters),
            Significance(),
        )
        assert found[0][0].p_value is None
        assert found[0][0].low is None
        assert found[0][0].wins == 2
    assert (
        compared([], [], [], np.array([True]), np.ones(1), np.zeros(1, int), Significance()) == []
    )


def test_too_few_resamples_are_told() -> None:
    assert enough_resamples(300, Significance(9999), 0.05) == 12_000
    assert enough_resamples(100, Significance(9999), 0.05) == 0
    assert enough_resamples(300, Significance(0), 0.05) == 0
