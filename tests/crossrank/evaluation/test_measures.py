"""Every measure against a loop over one query at a time, and against ir-measures."""

from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrank._files.trec import write_qrels, write_run
from crossrank.errors import InputError
from crossrank.evaluation import evaluate

irm: Any = ir_measures  # it has no types

IDS = [f"d{number}" for number in range(8)]
QUERIES = [f"q{number}" for number in range(4)]
# scores full of ties: what is equal stays in the order of the run
runs = st.dictionaries(
    st.sampled_from(QUERIES),
    st.dictionaries(st.sampled_from(IDS), st.sampled_from([0.0, 0.5, 1.0]), min_size=1),
    min_size=1,
)
judgements = st.dictionaries(
    st.sampled_from(QUERIES),
    st.dictionaries(st.sampled_from(IDS), st.integers(0, 3), min_size=1),
    min_size=1,
)


def naive_rank(members: dict[str, float], relevant: dict[str, int]) -> float:
    place = {id: number for number, id in enumerate(members)}
    ordered = sorted(members, key=lambda member: (-members[member], place[member]))
    for rank, id in enumerate(ordered, 1):
        if relevant.get(id, 0) > 0:
            return rank
    return float("inf")


@settings(deadline=None)
@given(runs, judgements)
def test_ranks_recall_median_mean_and_reciprocal_equal_the_loop(
    run: dict[str, dict[str, float]], qrels: dict[str, dict[str, int]]
) -> None:
    if not run.keys() & qrels.keys():
        return
    depth = max(len(members) for members in run.values())
    ranks = [naive_rank(run.get(query, {}), relevant) for query, relevant in qrels.items()]
    bounded = [min(rank, depth + 1) for rank in ranks]
    found = evaluate(run, qrels, ["R@1", "R@3", "MedR", "MeanR", "MRR"], resamples=0)
    row = found["run"]
    for cutoff in (1, 3):
        hits = [rank <= cutoff for rank in ranks]
        assert row[f"R@{cutoff}"] == pytest.approx(100 * sum(hits) / len(hits))
        assert found.per_query["run"][f"R@{cutoff}"].tolist() == [100.0 * hit for hit in hits]
    assert row["MedR"] == np.median(bounded)
    assert row["MeanR"] == pytest.approx(sum(bounded) / len(bounded))
    assert row["MRR"] == pytest.approx(sum(1 / rank for rank in ranks) / len(ranks))
    assert found.query_ids == tuple(qrels)


@settings(max_examples=40, deadline=None)
@given(runs, judgements)
def test_exported_runs_score_the_same_with_ir_measures(
    tmp_path_factory: pytest.TempPathFactory,
    run: dict[str, dict[str, float]],
    qrels: dict[str, dict[str, int]],
) -> None:
    if not run.keys() & qrels.keys():
        return
    folder = tmp_path_factory.mktemp("export")
    write_run(folder / "run.trec", run)
    write_qrels(folder / "qrels", qrels)
    names = ["Success@1", "Success@3", "RR", "R@3", "nDCG@5", "AP", "P@2", "NumRet"]
    expected = irm.calc_aggregate(
        [irm.parse_measure(name) for name in names],
        list(irm.read_trec_qrels(str(folder / "qrels"))),
        list(irm.read_trec_run(str(folder / "run.trec"))),
    )
    theirs = {str(measure): value for measure, value in expected.items()}
    ours = evaluate(
        folder / "run.trec",
        folder / "qrels",
        ["R@1", "R@3", "MRR", "ir:R@3", "ir:nDCG@5", "ir:AP", "ir:P@2", "ir:NumRet"],
        resamples=0,
    )["run"]
    assert ours["R@1"] == pytest.approx(100 * theirs["Success@1"])
    assert ours["R@3"] == pytest.approx(100 * theirs["Success@3"])
    assert ours["MRR"] == pytest.approx(theirs["RR"])
    for name in ("R@3", "nDCG@5", "AP", "P@2", "NumRet"):
        assert ours[f"ir:{name}"] == pytest.approx(theirs[name])


def test_recall_of_the_protocol_is_not_recall_of_information_retrieval() -> None:
    run = {"image": {"c1": 3.0, "x": 2.0, "c2": 1.0}}
    qrels = {"image": {"c1", "c2", "c3", "c4", "c5"}}
    row = evaluate(run, qrels, ["R@1", "ir:R@1", "ir:Success@1", "MRR@10"])["run"]
    assert row == pytest.approx({"R@1": 100.0, "ir:R@1": 0.2, "ir:Success@1": 1.0, "MRR@10": 1.0})


def test_our_order_decides_and_not_the_ids_as_in_trec_eval(tmp_path: Path) -> None:
    run = {"q": {"a": 1.0, "z": 1.0}}
    names = ["R@1", "ir:Success@1", "MRR"]
    first = evaluate(run, {"q": "a"}, names)["run"]
    second = evaluate(run, {"q": "z"}, names)["run"]
    assert list(first.values()) == [100.0, 1.0, 1.0]
    assert list(second.values()) == [0.0, 0.0, 0.5]


def test_a_query_without_a_list_counts_as_zero_in_every_measure() -> None:
    run = {"q1": {"a": 1.0}}
    qrels = {"q1": "a", "q2": "b", "q3": "c", "q4": "d"}
    row = evaluate(run, qrels, ["R@5", "MRR", "nDCG@5", "ir:R@5"])["run"]
    assert row == pytest.approx({"R@5": 25.0, "MRR": 0.25, "nDCG@5": 0.25, "ir:R@5": 0.25})


def test_medr_and_meanr_look_no_deeper_than_the_shortest_system() -> None:
    qrels = {f"q{number}": "x" for number in range(3)}
    long = {query: {**dict.fromkeys("abcde", 1.0), "x": 0.0} for query in qrels}
    short = {query: {"a": 1.0, "b": 0.5} for query in qrels}
    found = evaluate({"long": long, "short": short}, qrels, ["MedR", "MeanR", "MRR"], resamples=0)
    assert (found["long"]["MedR"], found["long"]["MeanR"]) == (3.0, 3.0)
    assert (found["short"]["MedR"], found["short"]["MeanR"]) == (3.0, 3.0)
    assert found["long"]["MRR"] == pytest.approx(1 / 6)
    assert any("among the first 2: long 3, short 3" in note for note in found.notes)
    assert evaluate(long, qrels, ["MeanR"])["run"]["MeanR"] == 6.0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("R@0", "cutoff 0"),
        ("P@0", "cutoff 0"),
        ("R@5.5", "no measure 'R@5.5'"),
        ("recall", "no measure 'recall'"),
        ("P", "no measure 'P'"),
        ("RSUM", r"BothDirections\(t2i, i2t\)"),
        ("rsum", r"BothDirections\(t2i, i2t\)"),
        ("ir:MedR", "no measure 'MedR'"),
        ("alpha_nDCG@5", "ir-measures cannot compute"),
    ],
)
def test_measures_that_cannot_be_had(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        evaluate({"q": {"a": 1.0}}, {"q": "a"}, ["R@1", name])


def test_a_query_for_which_a_measure_is_undefined_is_named() -> None:
    run = {"q": {"a": 2.0, "b": 1.0}, "r": {"b": 1.0}}
    with pytest.raises(InputError, match="gives no Accuracy for query 'r'"):
        evaluate(run, {"q": "a", "r": "a"}, ["Accuracy"])


def test_metrics_must_be_a_sequence_of_names() -> None:
    with pytest.raises(InputError, match=r"give a sequence, such as \('R@1',\)"):
        evaluate({"q": {"a": 1.0}}, {"q": "a"}, "R@1")
    with pytest.raises(InputError, match="no metrics"):
        evaluate({"q": {"a": 1.0}}, {"q": "a"}, [])


def test_a_measure_that_stands_twice_counts_once() -> None:
    assert evaluate({"q": {"a": 1.0}}, {"q": "a"}, ["R@1", "MRR", "R@1"]).metrics == ("R@1", "MRR")
