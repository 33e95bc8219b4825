"""Input that fits nothing is one clear error of ours, never numpy's and never a wrong answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import crossrank as cr
from crossrank.errors import CrossrankError
from toys.basic import DotReranker, collection

QUERIES, GALLERY = collection(2, "text"), collection(3, "image")
LISTS = cr.Candidates.from_lists([[id] for id in GALLERY.ids[:2]], query_ids=QUERIES.ids)
PIPELINE = cr.Pipeline([cr.Stage(DotReranker(), fusion=cr.Replace())])

CALLS: list[tuple[str, Callable[[Any], Any], Any]] = [
    ("labels are float64", lambda given: cr.Candidates.from_faiss([[0.1]], given), [[1.5]]),
    (
        "labels are float64",
        lambda given: cr.Candidates.from_faiss([[0.1]], given),
        [[float("nan")]],
    ),
    ("distances must be", lambda given: cr.Candidates.from_faiss(given, [[0]]), [["near"]]),
    ("give a list of ids", cr.Candidates.from_lists, {"a": "wxyz"}),
    ("give a list of ids", cr.Candidates.from_lists, ["ab", "cd"]),
    ("give a list of ids", cr.Candidates.from_lists, [1, 2]),
    ("one list of ids per query", cr.Candidates.from_lists, "ab"),
    ("one list of ids per query", cr.Candidates.from_lists, None),
    ("scores of query '0'", lambda given: cr.Candidates.from_lists([["a"]], scores=given), [["x"]]),
    ("or use from_lists", cr.Candidates.from_run, {"a": ["x", "y"]}),
    ("scores of query 'a'", cr.Candidates.from_run, {"a": {"x": "high"}}),
    ("rows of one length", lambda m: cr.Candidates.from_similarity(m, "t2i"), [[1, 2], [3]]),
    ("cannot be read", cr.Candidates.from_trec, "a\0b"),
    ("the candidates are None", lambda given: cr.rerank("x", given, PIPELINE), None),
    ("the qrels are None", lambda given: cr.evaluate({"a": {"b": 1.0}}, given), None),
    ("neither a stage nor", cr.Pipeline, None),
    ("candidates is a dict", lambda given: PIPELINE.rerank(given, QUERIES, GALLERY), {"a": ["b"]}),
    ("queries is a list", lambda given: PIPELINE.rerank(LISTS, given, GALLERY), [[1.0]]),
    ("gallery is a NoneType", lambda given: PIPELINE.rerank(LISTS, QUERIES, given), None),
]


@pytest.mark.parametrize(("says", "call", "given"), CALLS)
def test_one_clear_error(says: str, call: Callable[[Any], Any], given: Any) -> None:
    with pytest.raises(CrossrankError) as error:
        call(given)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
