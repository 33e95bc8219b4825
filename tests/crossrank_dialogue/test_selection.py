from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrank.errors import InputError
from crossrank_dialogue import entropies, expected_drop, representatives, select_question

CONTEXT, ASKED = [0.9, 0.2, 0.4], [[0.88, 0.25, 0.41], [0.3, 0.9, 0.1]]


def softmax(values: Any) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def test_published_divergences() -> None:
    index, found = select_question(CONTEXT, ASKED)
    assert index == 0
    np.testing.assert_allclose(found, [0.000393502, 0.155323657], atol=5e-10)


@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.integers(1, 4), st.integers(0, 1))
def test_selection_equals_loops(seed: int, count: int, questions: int, skip: int) -> None:
    rng = np.random.default_rng(seed)
    context, asked = rng.normal(size=count), rng.normal(size=(questions, count))
    kept = sorted(range(count), key=lambda n: -context[n])[skip:]
    before = softmax([context[n] for n in kept])
    expected = []
    for row in asked:
        after = softmax([row[n] for n in kept])
        expected.append(sum(p * math.log(p / q) for p, q in zip(before, after, strict=True)))
    index, found = select_question(context, asked, skip)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert index == int(np.argmin(expected))


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_candidates_changes_nothing_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    context, asked, order = rng.normal(size=9), rng.normal(size=(3, 9)), rng.permutation(9)
    one, other = (
        select_question(context, asked, 2),
        select_question(context[order], asked[:, order], 2),
    )
    assert one[0] == other[0] and (one[1] == other[1]).all()


def test_entropies_equal_loops() -> None:
    scores = np.random.default_rng(0).normal(size=(4, 6))
    expected = [-sum(p * math.log(p) for p in softmax(row)) for row in scores]
    np.testing.assert_allclose(entropies(scores), expected, rtol=1e-12)


def clustered(seed: int) -> tuple[Any, Any]:
    """Return members of three far clusters, and similarities of each member's caption."""
    rng = np.random.default_rng(seed)
    centres = np.eye(3)[rng.permutation(np.repeat(np.arange(3), 4))]
    return centres + 0.01 * rng.normal(size=centres.shape), 3 * rng.normal(size=(12, 12))


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_each_cluster_sends_the_member_of_lowest_entropy(seed: int) -> None:
    embeddings, similarities = clustered(seed)
    labels = embeddings.argmax(axis=1)
    spread = entropies(similarities)
    expected = {min(np.flatnonzero(labels == c), key=lambda n: spread[n]) for c in range(3)}
    assert set(representatives(embeddings, similarities, 3).tolist()) == expected


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_representatives_do_not_depend_on_the_order(seed: int) -> None:
    embeddings, similarities = clustered(seed)
    order = np.random.default_rng(seed + 1).permutation(12)
    whole = representatives(embeddings, similarities, 5, seed=3)
    again = representatives(embeddings[order], similarities[np.ix_(order, order)], 5, seed=3)
    assert order[again].tolist() == whole.tolist()


def test_identical_embeddings_and_few_candidates() -> None:
    same, scores = np.ones((4, 2)), np.diag([3.0, 2.0, 1.0, 0.5])
    found = representatives(same, scores, 3)
    assert len(set(found.tolist())) == 3
    assert sorted(representatives(same, scores, 9).tolist()) == [0, 1, 2, 3]


def test_the_expected_drop_is_mutual_information() -> None:
    prior, likelihood = [0.2, 0.8], [[0.9, 0.1], [0.3, 0.7]]
    total = 0.0
    for answer in range(2):
        own = sum(p * row[answer] for p, row in zip(prior, likelihood, strict=True))
        for p, row in zip(prior, likelihood, strict=True):
            total += p * row[answer] * math.log(row[answer] / own)
    assert expected_drop(prior, likelihood) == pytest.approx(total)
    assert expected_drop(prior, likelihood, known=0.25) == pytest.approx(total / 4)
    assert expected_drop(prior, [[0.5, 0.5]] * 2) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: select_question(CONTEXT, []), "give 2 dimensions"),
        (lambda: select_question(CONTEXT, ASKED, 3), "skip is 3 of 3 candidates"),
        (lambda: select_question([np.nan, 1], [[1, 2]]), "NaN or infinity"),
        (lambda: representatives(np.ones((3, 2)), np.ones((2, 2)), 1), r"give \[n, D\] and"),
        (lambda: representatives(np.ones((3, 2)), np.ones((3, 3)), 0), "clusters is 0"),
        (lambda: expected_drop([0.5, 0.5], [[1, 0]]), r"give \[n\], \[n, V\]"),
        (lambda: expected_drop([0.5, -0.5], [[1, 0]] * 2), "must be probabilities"),
    ],
)
def test_bad_input(call: object, says: str) -> None:
    assert callable(call)
    with pytest.raises(InputError, match=says):
        call()
