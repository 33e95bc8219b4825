"""What equal scores leave open, against every order of them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossrank as cr
from crossrank.evaluation._ties import first_place_chances

METRICS = ("R@1", "R@2", "MeanR", "MRR")


def every_order(scores: list[int], relevant: set[int]) -> list[int]:
    """The rank of the first relevant item in all orders that the scores allow."""
    ranks = []
    for order in itertools.permutations(range(len(scores))):
        falling = [scores[each] for each in order]
        if falling == sorted(scores, reverse=True):
            ranks.append(next(n for n, each in enumerate(order, 1) if each in relevant))
    return ranks


def of_rank(metric: str, rank: int) -> float:
    if metric.startswith("R@"):
        return 100.0 * (rank <= int(metric[2:]))
    return float(rank) if metric == "MeanR" else 1 / rank


lists = st.lists(st.integers(0, 2), min_size=1, max_size=5).flatmap(
    lambda scores: st.tuples(
        st.just(scores), st.sets(st.integers(0, len(scores) - 1), min_size=1, max_size=3)
    )
)


@settings(max_examples=40, deadline=None)
@given(st.lists(lists, min_size=1, max_size=3))
def test_all_orders_count_alike(queries: list[tuple[list[int], set[int]]]) -> None:
    run = {
        f"q{n}": {f"d{place}": float(score) for place, score in enumerate(scores)}
        for n, (scores, _) in enumerate(queries)
    }
    qrels = {
        f"q{n}": {f"d{place}" for place in relevant} for n, (_, relevant) in enumerate(queries)
    }
    found = cr.evaluate(run, qrels, METRICS, resamples=0)
    orders = [every_order(scores, relevant) for scores, relevant in queries]
    undecided = sum(len(set(each)) > 1 for each in orders)
    if not undecided:
        assert not found.ties and not any("share the score" in note for note in found.notes)
        return
    tied = found.ties["run"]
    assert tied.queries == undecided
    for metric in METRICS:
        per_query = [[of_rank(metric, rank) for rank in ranks] for ranks in orders]
        bounds = tied.bounds[metric]
        count = len(queries)
        assert bounds.minimum == pytest.approx(sum(map(min, per_query)) / count)
        assert bounds.maximum == pytest.approx(sum(map(max, per_query)) / count)
        expected = sum(math.fsum(each) / len(each) for each in per_query) / count
        assert bounds.expected == pytest.approx(expected)
        assert bounds.minimum <= found["run"][metric] + 1e-9
        assert found["run"][metric] <= bounds.maximum + 1e-9
    assert f"for {undecided} queries" in " ".join(found.notes)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_matrices_say_the_same_as_lists(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 3, (4, 8)).astype(float)
    both = cr.evaluate_matrix(matrix, captions_per_image=2, resamples=0, metrics=METRICS)
    for direction, found in (("t2i", both.t2i), ("i2t", both.i2t)):
        if direction == "t2i":
            qrels: dict[str, Any] = {str(n): str(n // 2) for n in range(8)}
        else:
            qrels = {str(n): {str(2 * n), str(2 * n + 1)} for n in range(4)}
        candidates = cr.Candidates.from_similarity(matrix, direction)
        wanted = cr.evaluate(candidates, qrels, METRICS, resamples=0)
        assert bool(found.ties) == bool(wanted.ties)
        if found.ties:
            assert found.ties["similarity"] == wanted.ties["base"]
            assert found.to_dict()["ties"]["similarity"]["queries"] > 0


def test_rankings_and_their_base_have_ties_of_their_own() -> None:
    queries = cr.Collection(["q"], "text", embedding=[[1.0, 0.0]])
    gallery = cr.Collection(list("abc"), "image", embedding=[[0.5, 1], [0.5, 2], [0.7, 0]])

    class Same(cr.Reranker):
        info = cr.RerankerInfo("same", "", "", ("embedding",), ("embedding",))

        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            return cr.Scores(np.ones(block.mask.shape, np.float32))

    base = cr.search(queries, gallery, 3)
    rankings = cr.Pipeline(cr.Stage(Same, fusion=cr.Replace())).rerank(base, queries, gallery)
    found = cr.evaluate(rankings, {"q": "b"}, ["MRR"])
    assert found.ties["base"].bounds["MRR"].maximum == pytest.approx(1 / 2)
    assert found.ties["base"].bounds["MRR"].minimum == pytest.approx(1 / 3)
    after = found.ties["reranked"].bounds["MRR"]
    assert after.minimum == pytest.approx(1 / 3)
    assert after.maximum == 1
    assert after.expected == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_lists_without_scores_are_in_order() -> None:
    run = {"q": {"a": None, "b": None}}
    assert not cr.evaluate(run, {"q": "b"}, ["MRR"]).ties
    apart = {"q": {"a": 0.5, "b": 0.4, "c": 0.4}}
    assert not cr.evaluate(apart, {"q": "a"}, ["MRR"]).ties
    assert not cr.evaluate(apart, {"q": ["b", "c"]}, ["MRR"]).ties  # whichever comes first


def test_chances_are_those_of_drawing_without_replacement() -> None:
    for size in range(1, 9):
        for relevant in range(1, size + 1):
            wanted = [
                math.comb(size - place, relevant - 1) / math.comb(size, relevant)
                for place in range(1, size - relevant + 2)
            ]
            np.testing.assert_allclose(first_place_chances(size, relevant), wanted)
