"""k-reciprocal neighbours: sparse as in a dense loop, and the form in which queries join alone."""

from __future__ import annotations

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import ParameterError
from toys.hubness import collection, naive_kreciprocal, raw_scores, unit_rows, world


@pytest.mark.parametrize(
    ("queries", "gallery", "k1", "k2", "mix"),
    [(60, 240, 20, 6, 0.3), (7, 30, 5, 1, 0.0), (5, 12, 40, 30, 0.5), (1, 3, 1, 2, 1.0)],
)
def test_equals_a_dense_loop(queries: int, gallery: int, k1: int, k2: int, mix: float) -> None:
    asked, listed, _ = world(queries, gallery, size=6, seed=k1)
    items = np.concatenate([asked["embedding"], listed["embedding"]]).astype(np.float64)
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    found = raw_scores("kreciprocal", asked, listed, k1=k1, k2=k2, mix=mix)
    wanted = naive_kreciprocal(items, queries, min(k1, len(items)), k2, mix)
    np.testing.assert_allclose(found, wanted, atol=2e-6)


def test_with_a_bank_other_queries_do_not_matter() -> None:
    queries, gallery, bank = world(queries=12, gallery=80, bank=60)
    whole = raw_scores("kreciprocal", queries, gallery, bank=bank, k1=8, k2=4)
    alone = raw_scores("kreciprocal", queries.take([3]), gallery, bank=bank, k1=8, k2=4)
    np.testing.assert_allclose(alone[0], whole[3], atol=1e-6)


def test_with_a_bank_it_is_close_to_the_paper_where_one_query_matters_little() -> None:
    queries, gallery, bank = world(queries=10, gallery=150, bank=150, size=4)
    inductive = raw_scores("kreciprocal", queries, gallery, bank=bank, k1=12, k2=4)
    for row in range(len(queries)):
        rows = np.concatenate([queries["embedding"][[row]], bank["embedding"]])
        joined = collection("j", "text", rows)
        graph = raw_scores("kreciprocal", joined, gallery, k1=12, k2=4)
        near = np.corrcoef(graph[0], inductive[row])[0, 1]
        assert near > 0.95


def test_vectors_need_no_unit_length() -> None:
    queries, gallery, _ = world()
    longer = collection("g", "image", gallery["embedding"] * 3)
    np.testing.assert_allclose(
        raw_scores("kreciprocal", queries, longer),
        raw_scores("kreciprocal", queries, gallery),
        atol=1e-5,
    )


def test_equal_items_are_each_their_own_first_neighbour() -> None:
    rows = np.repeat(unit_rows(np.random.default_rng(0), 4), 5, axis=0)
    queries, gallery = collection("q", "text", rows[:3]), collection("g", "image", rows)
    found = raw_scores("kreciprocal", queries, gallery, k1=4, k2=2)
    assert np.isfinite(found).all()
    assert (found[0, :5] > found[0, 5:].max()).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"k1": 0}, "k1 is 0"),
        ({"k2": 1.5}, "k2 is 1.5"),
        ({"mix": 1.1}, "a number from 0 to 1"),
        ({"mix": float("nan")}, "mix is nan"),
    ],
)
def test_bad_parameters(params: dict[str, float], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        cr.Stage("kreciprocal", params=params)
