"""ranx and ir-measures see the order of the rankings, and give their runs back."""

from __future__ import annotations

from typing import Any

import pytest

import crossrank as cr
from crossrank_hosts import ir_measures as ours
from crossrank_hosts import ranx as for_ranx
from crossrank_hosts._runs import falling

QUERIES = ["a dog", "a cat", "two dogs"]
TEXTS = ["a cat", "a dog", "two dogs", "a dog"]  # two of them tie
QRELS = {"0": "1", "1": ["0", "3"], "2": {"2": 2, "1": 1}}


@pytest.fixture
def rankings() -> cr.Rankings:
    candidates = [[cr.Item(str(n), text) for n, text in enumerate(TEXTS)]] * len(QUERIES)
    scores = [[0.1, 0.2, 0.3, 0.4]] * len(QUERIES)
    return cr.rerank_many(QUERIES, candidates, "dot", encoder="toy", base_scores=scores)


def ours_of(evaluation: cr.Evaluation, measure: str) -> float:
    return float(evaluation[evaluation.names[-1]][measure])


def test_scores_fall_strictly_and_keep_the_order() -> None:
    run = {"q": {"a": 1.0, "b": 1.0, "c": 1.0, "d": 0.5}}
    fallen = falling(run)
    assert list(fallen["q"]) == list("abcd")
    values = list(fallen["q"].values())
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4


def test_ranx_measures_what_we_measure(rankings: cr.Rankings) -> None:
    ranx = pytest.importorskip("ranx", reason="ranx is not installed; make test-hosts")
    found = ranx.evaluate(for_ranx.to_qrels(QRELS), for_ranx.to_run(rankings), ["mrr", "ndcg@10"])
    expected = cr.evaluate(rankings, QRELS, ["MRR", "nDCG@10"])
    assert found["mrr"] == pytest.approx(ours_of(expected, "MRR"))
    assert found["ndcg@10"] == pytest.approx(ours_of(expected, "nDCG@10"))


def test_a_ranx_run_is_a_base(rankings: cr.Rankings) -> None:
    pytest.importorskip("ranx", reason="ranx is not installed; make test-hosts")
    again = for_ranx.candidates(for_ranx.base_run(rankings))
    assert [list(each) for each in again.to_run().values()] == [
        list(each) for each in rankings.base_run().values()
    ]


def test_ir_measures_measures_what_we_measure(rankings: cr.Rankings) -> None:
    import ir_measures

    for run in (ours.scored_docs(rankings), ours.frame(rankings)):
        found = ir_measures.calc_aggregate(
            [ir_measures.RR, ir_measures.nDCG @ 10], ours.to_qrels(QRELS), run
        )
        expected = cr.evaluate(rankings, QRELS, ["MRR", "nDCG@10"])
        assert found[ir_measures.RR] == pytest.approx(ours_of(expected, "MRR"))
        assert found[ir_measures.nDCG @ 10] == pytest.approx(ours_of(expected, "nDCG@10"))


def test_scored_docs_and_frames_are_a_base(rankings: cr.Rankings) -> None:
    for run in (ours.scored_docs(rankings), ours.frame(rankings), iter([("q", "d", 1)])):
        assert len(ours.candidates(run)) in (3, 1)
    assert list(ours.candidates(ours.scored_docs(rankings)).to_run()["0"]) == list(
        rankings.to_run()["0"]
    )


def test_frames_keep_the_base_and_the_trace(rankings: cr.Rankings) -> None:
    made = ours.frame(rankings)
    assert set(made["base_rank"]) == {1, 2, 3, 4}
    assert made["trace"].iloc[0][0]["stage"] == "dot"


@pytest.mark.parametrize("wrong", [[1, 2], "run", [("q", "d")], [("q", "d", "x")]], ids=str)
def test_what_is_no_run_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="ScoredDoc"):
        ours.candidates(wrong)


def test_a_frame_without_a_column_says_which(rankings: cr.Rankings) -> None:
    with pytest.raises(ValueError, match="doc_id"):
        ours.candidates(ours.frame(rankings).drop(columns=["doc_id"]))
