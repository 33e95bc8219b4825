"""Fewer tokens and shorter ones, against naive loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError, ParameterError
from crossrank_multivector import BinaryTokens, shortlist, ward_pooled


def unit(rng: np.random.Generator, count: int, dim: int) -> NDArray[np.float32]:
    rows = rng.normal(size=(count, dim))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def ward(rows: NDArray[Any], wanted: int) -> set[frozenset[int]]:
    """Merge, one pair after another, the two clusters whose union adds least to the variance."""
    clusters = [[number] for number in range(len(rows))]
    while len(clusters) > wanted:
        best, pair = float("inf"), (0, 1)
        for i in range(len(clusters)):
            for j in range(i + 1, len(clusters)):
                a, b = rows[clusters[i]], rows[clusters[j]]
                weight = len(a) * len(b) / (len(a) + len(b))
                cost = weight * float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())
                if cost < best:
                    best, pair = cost, (i, j)
        clusters[pair[0]] += clusters.pop(pair[1])
    return {frozenset(each) for each in clusters}


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_pooling_is_ward_s(seed: int, count: int, factor: int) -> None:
    rows = unit(np.random.default_rng(seed), count, 5)
    found = ward_pooled(cr.Ragged(rows, [count]), factor)[0]
    groups = ward(rows.astype(np.float64), -(-count // factor))
    means = np.stack([_mean(rows[sorted(group)]) for group in groups])
    apart = np.linalg.norm(found[:, None].astype(np.float64) - means, axis=2)
    assert sorted(apart.argmin(axis=1).tolist()) == list(range(len(means)))
    assert apart.min(axis=1).max() < 1e-5
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def _mean(rows: NDArray[Any]) -> NDArray[np.float64]:
    mean = rows.astype(np.float64).sum(axis=0)
    unit: NDArray[np.float64] = mean / np.linalg.norm(mean)
    return unit


def test_pooling_by_one_and_of_nothing_changes_nothing() -> None:
    tokens = cr.Ragged(unit(np.random.default_rng(0), 5, 3), [2, 0, 3])
    assert ward_pooled(tokens, 1) == tokens
    assert ward_pooled(tokens, 2).lengths.tolist() == [1, 0, 2]
    assert len(ward_pooled(cr.Ragged(np.zeros((0, 3)), []), 2)) == 0
    with pytest.raises(ParameterError, match="factor is 0"):
        ward_pooled(tokens, 0)


@given(st.integers(0, 10_000), st.sampled_from([1, 7, 8, 19]))
@settings(max_examples=30, deadline=None)
def test_signs_are_kept_and_score_as_the_loop(seed: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    rows, query = unit(rng, 9, dim), unit(rng, 3, dim)
    binary = BinaryTokens.of(cr.Ragged(rows, [4, 5]))
    assert binary.codes.flat.nbytes == 9 * -(-dim // 8)
    expected = np.where(rows[4:] >= 0, 1, -1) / np.sqrt(dim)
    np.testing.assert_allclose(binary.signs(1), expected, atol=1e-6)
    score = sum(max(float(a @ b) for b in expected) for a in query.astype(np.float64))
    assert binary.maxsim(query, 1) == pytest.approx(score, abs=1e-5)


def test_a_shortlist_keeps_the_best_by_signs_with_their_base_scores() -> None:
    rng = np.random.default_rng(3)
    words, patches = unit(rng, 6, 16), unit(rng, 40, 16)
    queries = cr.Collection(["q", "r"], "text", tokens=cr.Ragged(words, [3, 3]))
    gallery = cr.Collection(
        [f"c{n}" for n in range(10)], "image", tokens=cr.Ragged(patches, [4] * 10)
    )
    run = {id: {f"c{n}": -float(n) for n in range(10)} for id in queries.ids}
    lists = cr.Candidates.from_run(run, candidate_ids=gallery.ids)
    binary = BinaryTokens.of(gallery["tokens"])
    short = shortlist(lists, queries["tokens"], binary, 4)
    assert short.mask.sum(axis=1).tolist() == [4, 4]
    for row in range(2):
        scores = [binary.maxsim(words[3 * row : 3 * row + 3], n) for n in range(10)]
        kept = {short.candidate_ids[i] for i in short.index[row][short.mask[row]]}
        assert kept == {f"c{n}" for n in np.argsort(scores)[-4:]}
    stage = cr.Stage("filip", fusion=cr.Replace(), params={"aggregate": "sum"})
    exact = cr.Pipeline(stage).rerank(short, queries, gallery)
    whole = cr.Pipeline(stage).rerank(lists, queries, gallery)
    expected = {hit.id: hit.score for hit in whole["q"]}
    for hit in exact["q"]:
        assert hit.score == pytest.approx(expected[hit.id])


def test_what_a_shortlist_refuses() -> None:
    tokens = cr.Ragged(unit(np.random.default_rng(0), 4, 8), [2, 2])
    lists = cr.Candidates.from_lists({"q": ["a", "b"]})
    binary = BinaryTokens.of(tokens)
    with pytest.raises(InputError, match="1 lists and the tokens of 2 queries"):
        shortlist(lists, tokens, binary, 1)
    one = cr.Ragged(unit(np.random.default_rng(0), 2, 4), [2])
    with pytest.raises(FeatureMismatchError, match="size 4, the gallery's 8"):
        shortlist(lists, one, binary, 1)
    with pytest.raises(ParameterError, match="keep is 0"):
        shortlist(lists, tokens, binary, 0)
