"""The frozen result: tables, JSON, equality, both directions."""

import dataclasses
import json
import pickle

import numpy as np
import pytest

from crossrank.errors import InputError, UnknownIdError
from crossrank.evaluation import BothDirections, Evaluation, evaluate

QRELS = {f"q{number}": f"d{number}" for number in range(6)}
BEFORE = {query: {"x": 1.0, id: 0.5} for query, id in QRELS.items()}
AFTER = {query: {id: 1.0, "x": 0.5} for query, id in QRELS.items()}


def evaluation(direction: str | None = "t2i", **names: dict[str, dict[str, float]]) -> Evaluation:
    return evaluate(names or {"base": BEFORE, "filip": AFTER}, QRELS, direction=direction)


def test_the_table_is_aligned_and_complete() -> None:
    lines = str(evaluation()).splitlines()
    assert lines[0] == "t2i: 6 queries"
    assert [line.split() for line in lines[2:6]] == [
        ["R@1", "R@5", "R@10", "MedR", "MeanR", "MRR"],
        ["base", "0.00", "100.00", "100.00", "2.0", "2.00", "0.5000"],
        ["filip", "100.00", "100.00", "100.00", "1.0", "1.00", "1.0000"],
        ["gain", "+100.00", "+0.00", "+0.00", "-1.0", "-1.00", "+0.5000"],
    ]
    assert len({len(line) for line in lines[2:8]}) == 1
    assert lines[6].split()[:5] == ["95", "%", "+100.00", "…", "+100.00"]
    assert lines[7].split() == ["p", "0.0312", "1.0000", "1.0000", "0.0312", "0.0312"]
    assert "paired randomisation test over queries; 9,999 resamples, seed 0" in lines[8]


def test_values_stand_under_their_metric() -> None:
    lines = str(evaluation()).splitlines()
    for metric, value in (("R@1", "100.00"), ("MRR", "1.0000")):
        end = lines[2].index(metric) + len(metric)
        assert lines[4][:end].endswith(value)


def test_without_tests_there_are_no_intervals() -> None:
    text = str(evaluate({"base": BEFORE, "filip": AFTER}, QRELS, ["R@1"], resamples=0))
    assert text.split() == [
        *("6", "queries", "R@1"),
        *("base", "0.00"),
        *("filip", "100.00"),
        *("gain", "+100.00"),
    ]


def test_markdown_is_a_table() -> None:
    lines = evaluate({"a|b": BEFORE}, QRELS).to_markdown().splitlines()
    assert lines[2] == "|  | R@1 | R@5 | R@10 | MedR | MeanR | MRR |"
    assert lines[3].count("---") == 7
    assert lines[4].startswith("| a\\|b | 0.00 | 100.00 |")


def test_to_dict_survives_json_and_holds_python_numbers() -> None:
    found = evaluation()
    for per_query in (False, True):
        told = found.to_dict(per_query)
        assert json.loads(json.dumps(told, allow_nan=False)) == told
        assert ("per_query" in told) is per_query
    assert told["rows"]["filip"]["R@1"] == 100.0
    assert told["gains"]["filip"]["R@1"]["p_value"] == pytest.approx(2 / 64)
    assert told["per_query"]["base"]["MRR"] == [0.5] * 6
    assert (told["queries"], told["cluster_count"], told["direction"]) == (6, 6, "t2i")


def test_it_is_frozen_equals_itself_and_survives_pickle() -> None:
    found = evaluation()
    assert found == evaluation() == pickle.loads(pickle.dumps(found))
    assert found != evaluation("i2t") and found != "something else"
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.baseline = "filip"  # type: ignore[misc]


def test_a_system_that_is_not_there() -> None:
    with pytest.raises(UnknownIdError, match="no system 'flip'; did you mean 'filip'"):
        evaluation()["flip"]


def test_both_directions_print_rsum() -> None:
    both = BothDirections(evaluation("t2i"), evaluation("i2t"))
    assert both.rsum == {"base": 400.0, "filip": 600.0}
    lines = str(both).splitlines()
    assert [line.split() for line in lines[-3:]] == [
        ["RSUM", "gain"],
        ["base", "400.00"],
        ["filip", "600.00", "+200.00"],
    ]
    assert lines[0] == "t2i: 6 queries" and "i2t: 6 queries" in lines
    assert "| filip | 600.00 | +200.00 |" in both.to_markdown()
    told = both.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert set(told) == {"t2i", "i2t", "rsum"}
    assert pickle.loads(pickle.dumps(both)) == both


def test_both_directions_must_be_what_they_say() -> None:
    with pytest.raises(InputError, match="t2i was given an i2t evaluation"):
        BothDirections(evaluation("i2t"), evaluation("i2t"))
    with pytest.raises(InputError, match="t2i has base, filip and i2t has base"):
        BothDirections(evaluation("t2i"), evaluation("i2t", base=BEFORE))
    assert BothDirections(evaluation(None), evaluation(None)).rsum["filip"] == 600.0


def test_clusters_are_named_in_the_footnote() -> None:
    qrels = dict.fromkeys(QRELS, "x") | {"q0": "d0"}
    found = evaluate({"base": BEFORE, "filip": AFTER}, qrels)
    assert len(np.unique(found.clusters)) == 2
    assert "over 2 clusters of queries" in str(found)
