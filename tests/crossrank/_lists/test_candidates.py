"""Candidate lists out of matrices, runs, faiss results and plain lists."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crossrank import Candidates
from crossrank._lists.topk import top_k
from crossrank.errors import (
    DuplicateIdError,
    InputError,
    OrientationError,
    UnknownIdError,
)

# few distinct values, so that ties are the rule
matrices = arrays(
    np.float64, st.tuples(st.integers(1, 6), st.integers(1, 7)), elements=st.sampled_from([0, 1, 2])
)


@given(matrices, st.integers(1, 8))
def test_top_k_equals_sorting_by_score_and_column(scores: np.ndarray, count: int) -> None:
    count = min(count, scores.shape[1])
    expected = [
        sorted(range(scores.shape[1]), key=lambda column: (-row[column], column))[:count]
        for row in scores
    ]
    assert top_k(scores, count).tolist() == expected


@given(matrices, st.sampled_from(["t2i", "i2t"]), st.integers(1, 8))
def test_a_similarity_matrix_serves_both_directions(
    matrix: np.ndarray, direction: str, depth: int
) -> None:
    candidates = Candidates.from_similarity(matrix, direction, depth)
    scores = matrix.T if direction == "t2i" else matrix
    assert len(candidates) == len(scores)
    for row, members in zip(scores, candidates.to_lists(), strict=True):
        order = sorted(range(len(row)), key=lambda place: (-row[place], place))[:depth]
        assert members == [(place, row[place]) for place in order]


def test_the_direction_is_never_guessed_and_ids_guard_it() -> None:
    with pytest.raises(OrientationError, match="say 't2i'"):
        Candidates.from_similarity(np.eye(3))
    with pytest.raises(OrientationError, match="transpose it"):
        Candidates.from_similarity(
            np.zeros((5, 1)), "t2i", image_ids=["i"], text_ids=["a", "b", "c", "d", "e"]
        )
    with pytest.raises(OrientationError, match="one id per row"):
        Candidates.from_similarity(np.zeros((2, 2)), "t2i", image_ids=["i"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_similarity_that_is_not_finite_is_named(bad: float) -> None:
    matrix = np.zeros((2, 3))
    matrix[1, 2] = bad
    with pytest.raises(InputError, match="query 'b2' and candidate 'a1'"):
        Candidates.from_similarity(
            matrix, "t2i", image_ids=["a0", "a1"], text_ids=["b0", "b1", "b2"]
        )


@pytest.mark.parametrize("depth", [0, -1, 1.5, True])
def test_a_depth_below_one_is_refused(depth: int) -> None:
    with pytest.raises(InputError, match="depth"):
        Candidates.from_similarity(np.eye(2), "t2i", depth)


def test_base_order_is_by_score_then_gallery_row() -> None:
    candidates = Candidates.from_run(
        {"q": {"c": 1.0, "a": 1.0, "b": 2.0}}, candidate_ids=["a", "b", "c"]
    )
    ids = [candidates.candidate_ids[row] for row, _ in candidates.to_lists()[0]]
    assert ids == ["b", "a", "c"]


def test_without_scores_the_order_of_the_list_is_the_base_order() -> None:
    candidates = Candidates.from_lists({"q": ["c", "a"], "r": []}, candidate_ids=["a", "b", "c"])
    assert candidates.scores is None
    assert candidates.to_lists() == [[(2, None), (0, None)], []]
    assert candidates.to_run() == {"q": {"c": -1.0, "a": -2.0}, "r": {}}


def test_runs_keep_python_floats_exactly() -> None:
    run = {"q1": {"d3": 0.41, "d1": 0.1}, "q2": {}}
    assert Candidates.from_run(run).to_run() == run


def test_runs_may_have_all_scores_or_none() -> None:
    assert Candidates.from_run({"q": {"a": None, "b": None}}).scores is None
    with pytest.raises(InputError, match="all or none"):
        Candidates.from_run({"q": {"a": None, "b": 1.0}})
    with pytest.raises(InputError, match="nan"):
        Candidates.from_run({"q": {"a": float("nan")}})


def test_unknown_and_duplicate_ids_are_named() -> None:
    with pytest.raises(UnknownIdError, match="'dog'"):
        Candidates.from_run({"q": {"dog": 1.0}}, candidate_ids=["dogs", "cat"])
    with pytest.raises(UnknownIdError, match="query id 'q'"):
        Candidates.from_run({"q": {}}, query_ids=["p"])
    with pytest.raises(DuplicateIdError, match="'a' twice"):
        Candidates.from_lists({"q": ["a", "b", "a"]})
    with pytest.raises(DuplicateIdError):
        Candidates.from_lists({"q": ["a"]}, candidate_ids=["a", "a"])
    with pytest.raises(DuplicateIdError, match="query id 'q'"):
        Candidates.from_lists([["a"], ["a"]], query_ids=["q", "q"])


@pytest.mark.parametrize("side", ["image_ids", "text_ids"])
def test_ids_of_either_side_must_differ(side: str) -> None:
    ids: dict[str, Any] = {side: list("aba")}
    with pytest.raises(DuplicateIdError, match="from_similarity: the id 'a' stands twice"):
        Candidates.from_similarity(np.eye(3), "t2i", **ids)
    with pytest.raises(DuplicateIdError, match="from_faiss: the id 'a' stands twice"):
        Candidates.from_faiss([[0.5, 0.4]], [[0, 2]], candidate_ids=list("aba"))
    with pytest.raises(DuplicateIdError, match="from_lists: the id 'a' stands twice"):
        Candidates.from_lists([["b"]], candidate_ids=list("aba"))


@pytest.mark.parametrize("matrix", [np.eye(2) * 1j, np.array([["a"]]), np.array([[None]])])
def test_a_similarity_that_is_no_number_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(InputError, match="numbers are needed"):
        Candidates.from_similarity(matrix, "t2i")


def test_faiss_results_with_empty_places() -> None:
    distances = np.array([[0.5, 2.0, 9.0]], np.float32)
    labels = np.array([[3, 1, -1]])
    near = Candidates.from_faiss(distances, labels, metric="l2")
    assert near.to_lists() == [[(3, -0.5), (1, -2.0)]]
    similar = Candidates.from_faiss(distances, labels, metric="ip", candidate_ids=list("abcd"))
    assert [similar.candidate_ids[row] for row, _ in similar.to_lists()[0]] == ["b", "d"]
    with pytest.raises(InputError, match="metric"):
        Candidates.from_faiss(distances, labels, metric="cosine")
    with pytest.raises(UnknownIdError, match="label 3 is no row of the 1 candidate_ids"):
        Candidates.from_faiss(distances, labels, metric="l2", candidate_ids=["a"])
    with pytest.raises(InputError, match="distances first"):
        Candidates.from_faiss(distances[0], labels)


def test_an_l2_index_is_not_taken_for_inner_products() -> None:
    rising, labels = np.array([[0.5, 2.0]], np.float32), np.array([[3, 1]])
    with pytest.raises(InputError, match=r"distances rise, as those of an L2 index.*metric='l2'"):
        Candidates.from_faiss(rising, labels)
    index = SimpleNamespace(metric_type=1)
    assert Candidates.from_faiss(rising, labels, index=index).to_lists() == [[(3, -0.5), (1, -2.0)]]
    assert Candidates.from_faiss(-rising, labels).to_lists() == [[(3, -0.5), (1, -2.0)]]
    with pytest.raises(InputError, match="metric is None"):
        Candidates.from_faiss(rising, labels, index=SimpleNamespace(metric_type=20))


def test_labels_of_an_id_map_are_names() -> None:
    labels = np.array([[98_510_963, -1], [7, 98_510_963]])
    found = Candidates.from_faiss([[0.9, -3e38], [0.8, 0.1]], labels)
    assert found.candidate_ids == ("7", "98510963")
    ids = found.candidate_ids
    assert [[ids[row] for row, _ in own] for own in found.to_lists()] == [
        ["98510963"],
        ["7", "98510963"],
    ]
    with pytest.raises(UnknownIdError, match=r"label 98510963 is no row of the 2 .*IndexIDMap"):
        Candidates.from_faiss([[0.9, 0.1]], labels[1:], candidate_ids=["a", "b"])
    with pytest.raises(InputError, match="no place in 64 bits"):
        Candidates.from_faiss([[0.9]], np.array([[2**64 - 1]], np.uint64))


def test_lists_and_scores_must_match() -> None:
    with pytest.raises(InputError, match="2 candidates and 1 scores"):
        Candidates.from_lists([["a", "b"]], scores=[[1.0]])
    with pytest.raises(InputError, match="1 query ids for 2 lists"):
        Candidates.from_lists([["a"], ["b"]], query_ids=["q"])


def test_no_queries_and_empty_lists_are_fine() -> None:
    assert len(Candidates.from_lists([])) == 0
    empty = Candidates.from_lists([[], []])
    assert (len(empty), empty.depth) == (2, 0)


@pytest.mark.parametrize("rows", [[1], slice(1, None), np.array([1])])
def test_take_keeps_lists_with_scores_and_ids(rows: Any) -> None:
    lists = Candidates.from_run({"a": {"x": 1.0, "y": 2.0}, "b": {"y": 3.0}})
    part = lists.take(rows)
    assert (part.query_ids, part.candidate_ids) == (("b",), lists.candidate_ids)
    assert part.to_run() == {"b": {"y": 3.0}}
    assert len(lists.take([])) == 0
