"""``aggregate``: means as FILIP, sums as MaxSim, against the naive loop in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import ParameterError
from crossrank_filip.reranker import FilipReranker

QUERIES, CANDIDATES = 3, 24


def tokens(rng: np.random.Generator, count: int) -> cr.Ragged:
    lengths = rng.integers(1, 9, count)
    rows = rng.normal(size=(int(lengths.sum()), 6))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return cr.Ragged(rows.astype(np.float32), lengths)


def naive(asked: NDArray[Any], listed: NDArray[Any], mode: str) -> float:
    """The sum over one side's tokens of the best product with the other's."""
    over_query = sum(max(float(a @ b) for b in listed) for a in asked)
    over_candidate = sum(max(float(a @ b) for b in asked) for a in listed)
    return {
        "query": over_query,
        "candidate": over_candidate,
        "both": (over_query + over_candidate) / 2,
    }[mode]


def summed(direction: str, mode: str) -> str:
    if mode == "both":
        return "both"
    return "query" if mode in ("auto", direction) else "candidate"


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
@pytest.mark.parametrize("mode", ["auto", "t2i", "i2t", "both"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_sums_equal_the_loop_and_the_best_stay_best(direction: str, mode: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    asked, _, listed = direction.partition("2")
    names = {"t": "text", "i": "image"}
    sides = tokens(rng, QUERIES), tokens(rng, CANDIDATES)
    queries = cr.Collection([f"q{n}" for n in range(QUERIES)], names[asked], tokens=sides[0])
    gallery = cr.Collection([f"c{n}" for n in range(CANDIDATES)], names[listed], tokens=sides[1])
    lists = cr.Candidates.from_lists(
        {id: list(gallery.ids) for id in queries.ids}, candidate_ids=gallery.ids
    )
    params = {"mode": mode, "aggregate": "sum"}
    pipeline = cr.Pipeline(cr.Stage("filip", fusion=cr.Replace(), params=params))
    found = pipeline.rerank(lists, queries, gallery).to_similarity()
    best = pipeline.rerank(lists, queries, gallery, top_k=2)
    for row in range(QUERIES):
        wide = sides[0][row].astype(np.float64)
        expected = [
            naive(wide, sides[1][column].astype(np.float64), summed(direction, mode))
            for column in range(CANDIDATES)
        ]
        np.testing.assert_allclose(found[row], expected, atol=1e-5)
        kept = [hit.score for hit in best[f"q{row}"]]
        np.testing.assert_allclose(kept, sorted(expected, reverse=True)[:2], atol=1e-5)


def test_on_a_device_of_torch_too() -> None:
    rng = np.random.default_rng(1)
    queries = cr.Collection(["q"], "text", tokens=tokens(rng, 1))
    gallery = cr.Collection(["a", "b"], "image", tokens=tokens(rng, 2))
    lists = cr.Candidates.from_lists({"q": ["a", "b"]}, candidate_ids=gallery.ids)
    pipeline = cr.Pipeline(cr.Stage("filip", fusion=cr.Replace(), params={"aggregate": "sum"}))
    here = pipeline.rerank(lists, queries, gallery).to_similarity()
    there = pipeline.rerank(lists, queries, gallery, device="cpu:0").to_similarity()
    np.testing.assert_allclose(there, here, atol=1e-6)


def test_a_wrong_aggregate_is_refused_and_another_one_is_another_stage() -> None:
    with pytest.raises(ParameterError, match="aggregate is 'max'; give one of mean, sum"):
        cr.Stage("filip", params={"aggregate": "max"})
    assert FilipReranker().fingerprint() != FilipReranker(aggregate="sum").fingerprint()
