from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossrank.errors import InputError
from crossrank_dialogue import bri, hits_at, log_rank, padded, ranks_of, recall_at

SEVERAL = [[7, 9, 3, 3], [1, 5, 2, 2], [50, 20, 60, 1]]


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [([[100, 10, 1]], 2.302585093), (SEVERAL, 1.390473301), ([[1, 1, 1]] * 2, 0.0)],
)
def test_published_values_of_bri(ranks: list[list[int]], expected: float) -> None:
    assert bri(ranks) == pytest.approx(expected, abs=1e-9)


RANKS = st.integers(2, 5).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(1, 200), min_size=width, max_size=width), min_size=1, max_size=5
    )
)


@given(RANKS)
def test_measures_equal_loops(ranks: list[list[int]]) -> None:
    total = 0.0
    for own in ranks:
        best = [min(own[: t + 1]) for t in range(len(own))]
        rounds = len(own) - 1
        total += math.log(best[0] * best[-1]) / (2 * rounds)
        total += sum(math.log(best[t]) for t in range(1, rounds)) / rounds
    assert bri(ranks) == pytest.approx(total / len(ranks))
    for t in range(len(ranks[0])):
        hits = sum(min(own[: t + 1]) <= 10 for own in ranks) / len(ranks)
        recall = sum(own[t] <= 10 for own in ranks) / len(ranks)
        logs = sum(math.log(own[t]) for own in ranks) / len(ranks)
        assert hits_at(ranks, 10)[t] == pytest.approx(hits)
        assert recall_at(ranks, 10)[t] == pytest.approx(recall)
        assert log_rank(ranks)[t] == pytest.approx(logs)


def test_bri_and_hits_reward_noise_where_recall_does_not() -> None:
    steady, thrown = [[20, 20, 20, 20]], [[20, 90, 2, 90]]
    assert bri(thrown) < bri(steady)
    assert hits_at(thrown, 10)[-1] > hits_at(steady, 10)[-1]
    assert recall_at(thrown, 20)[-1] < recall_at(steady, 20)[-1]


def test_ranks_come_from_one_matrix_and_ties_follow_the_gallery() -> None:
    similarity = [[0.5, 0.9, 0.5], [0.1, 0.1, 0.1]]
    assert ranks_of(similarity, [2, 0]).tolist() == [3, 1]
    assert ranks_of([[0.1, -np.inf]], [1]).tolist() == [2]


def test_a_dialogue_that_has_ended_keeps_its_last_rank() -> None:
    assert padded([[5], [4, 3, 2]]).tolist() == [[5, 5, 5], [4, 3, 2]]
    assert padded([[5], [4, 3, 2]], rounds=1).tolist() == [[5, 5], [4, 3]]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: bri([[3]]), "nothing to measure below one query and 1 rounds"),
        (lambda: bri([3, 4]), r"shape \(2,\); give numbers \[queries, rounds \+ 1\]"),
        (lambda: recall_at([[0, 1]], 1), "whole numbers from 1"),
        (lambda: recall_at([[1, 2]], 0), "k is 0; give a whole number from 1"),
        (lambda: ranks_of([[0.1]], [1]), "target 1 of query 0 is not among the 1 rows"),
        (lambda: ranks_of([[np.nan]], [0]), "holds NaN"),
        (lambda: padded([[1], []]), "query 1 has no rank"),
    ],
)
def test_bad_input(call: object, says: str) -> None:
    assert callable(call)
    with pytest.raises(InputError, match=says):
        call()
