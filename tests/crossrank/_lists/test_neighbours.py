"""Results of hnswlib and usearch as candidates."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import CrossrankError, DuplicateIdError, InputError, UnknownIdError

LABELS = np.array([[2, 0], [1, 2]], np.uint64)
DISTANCES = np.array([[0.25, 0.5], [0.0, 1.5]], np.float32)


def matches(keys: Any, distances: Any, counts: Any = None) -> SimpleNamespace:
    found = SimpleNamespace(keys=np.asarray(keys), distances=np.asarray(distances))
    if counts is not None:
        found.counts = np.asarray(counts)
    return found


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (None, [[(2, -0.25), (0, -0.5)], [(1, 0.0), (2, -1.5)]]),
        ("l2", [[(2, -0.25), (0, -0.5)], [(1, 0.0), (2, -1.5)]]),
        ("ip", [[(2, 0.75), (0, 0.5)], [(1, 1.0), (2, -0.5)]]),
        ("cosine", [[(2, 0.75), (0, 0.5)], [(1, 1.0), (2, -0.5)]]),
    ],
)
def test_distances_become_scores(space: str | None, expected: list[Any]) -> None:
    assert cr.Candidates.from_hnswlib(LABELS, DISTANCES, space=space).to_lists() == expected
    index = SimpleNamespace(space=space)
    assert cr.Candidates.from_hnswlib(LABELS, DISTANCES, index=index).to_lists() == expected
    kind = {"l2": "L2sq", "ip": "IP", "cosine": "Cos", None: "Unknown"}[space]
    index = SimpleNamespace(metric_kind=f"MetricKind.{kind}")
    found = cr.Candidates.from_usearch(matches(LABELS, DISTANCES, [2, 2]), index=index)
    assert found.to_lists() == expected


def test_empty_places() -> None:
    padded = np.array([[3, 2**64 - 1], [2**64 - 1, 2**64 - 1]], np.uint64)
    found = cr.Candidates.from_hnswlib(padded, np.array([[0.5, np.inf], [np.inf, np.nan]]))
    assert found.to_lists() == [[(3, -0.5)], []]
    signed = cr.Candidates.from_hnswlib(np.array([[3, -1]]), np.array([[0.5, 9.0]]))
    assert signed.to_lists() == [[(3, -0.5)]]
    # usearch fills up with zeros, of which the first key is one
    filled = matches([[5, 0, 0], [0, 0, 0]], [[0.1, 0, 0], [0, 0, 0]], [1, 0])
    assert cr.Candidates.from_usearch(filled).to_lists() == [[(5, -0.1)], []]


def test_labels_of_64_bits_are_names() -> None:
    keys = np.array([[2**63 + 5, 7], [7, 2**40]], np.uint64)
    found = cr.Candidates.from_usearch(matches(keys, DISTANCES, [2, 2]))
    assert list(found.to_run()["0"]) == [str(2**63 + 5), "7"]
    assert list(found.to_run()["1"]) == ["7", str(2**40)]


def test_one_query_and_names() -> None:
    found = cr.Candidates.from_usearch(
        matches([1, 0], [0.5, 0.75]), metric="ip", query_ids=["q"], candidate_ids="abc"
    )
    assert found.to_run() == {"q": {"b": 0.5, "a": 0.25}}
    empty = cr.Candidates.from_hnswlib(np.zeros((0, 3), np.uint64), np.zeros((0, 3)))
    assert len(empty) == 0


@pytest.mark.parametrize(
    ("kind", "message", "call"),
    [
        (
            InputError,
            "pass labels first",
            lambda: cr.Candidates.from_hnswlib(DISTANCES, LABELS),
        ),
        (
            InputError,
            r"labels \(2, 2\) and distances \(1, 2\)",
            lambda: cr.Candidates.from_hnswlib(LABELS, DISTANCES[:1]),
        ),
        (
            InputError,
            "labels are float32",
            lambda: cr.Candidates.from_hnswlib(DISTANCES, DISTANCES),
        ),
        (
            InputError,
            "numbers in rows of one length",
            lambda: cr.Candidates.from_hnswlib([[1], [1, 2]], DISTANCES),
        ),
        (
            UnknownIdError,
            "label 2 is no row of the 2 candidate_ids",
            lambda: cr.Candidates.from_hnswlib(LABELS, DISTANCES, candidate_ids="ab"),
        ),
        (
            DuplicateIdError,
            "the id .a. stands twice",
            lambda: cr.Candidates.from_hnswlib(LABELS, DISTANCES, candidate_ids="aab"),
        ),
        (
            DuplicateIdError,
            "lists candidate '1' twice",
            lambda: cr.Candidates.from_hnswlib([[1, 1]], [[0.1, 0.2]]),
        ),
        (
            InputError,
            "is nan; scores must be finite",
            lambda: cr.Candidates.from_hnswlib([[1, 2]], [[0.1, np.nan]]),
        ),
        (
            InputError,
            "is not what index.search returns",
            lambda: cr.Candidates.from_usearch({"keys": [1], "distances": [0.5]}),
        ),
        (
            InputError,
            r"counts \(1,\) for 2 queries",
            lambda: cr.Candidates.from_usearch(matches(LABELS, DISTANCES, [2])),
        ),
    ],
)
def test_what_does_not_fit_is_named(kind: type[CrossrankError], message: str, call: Any) -> None:
    with pytest.raises(kind, match=message):
        call()


def unit_rows(count: int) -> Any:
    rows = np.random.default_rng(count).normal(size=(count, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_real_hnswlib() -> None:
    hnswlib = pytest.importorskip("hnswlib")
    rows, queries = unit_rows(50), unit_rows(4)
    index = hnswlib.Index(space="cosine", dim=8)
    index.init_index(max_elements=50)
    index.add_items(rows, np.arange(50))
    index.set_ef(50)
    labels, distances = index.knn_query(queries, k=5)
    found = cr.Candidates.from_hnswlib(labels, distances, index=index)
    for query, own in zip(queries, found.to_lists(), strict=True):
        assert own == sorted(own, key=lambda each: -(each[1] or 0))
        for row, score in own:
            assert score == pytest.approx(float(rows[row] @ query), abs=1e-5)


def test_the_real_usearch() -> None:
    usearch = pytest.importorskip("usearch.index", exc_type=ImportError)
    rows, queries = unit_rows(3), unit_rows(4)
    index = usearch.Index(ndim=8, metric="cos", dtype="f32")
    index.add(np.arange(3), rows)
    many = cr.Candidates.from_usearch(index.search(queries, 5), index=index)
    assert [len(own) for own in many.to_lists()] == [3, 3, 3, 3]
    for query, own in zip(queries, many.to_lists(), strict=True):
        for row, score in own:
            assert score == pytest.approx(float(rows[row] @ query), abs=1e-3)
    one = cr.Candidates.from_usearch(index.search(queries[0], 2), index=index)
    assert [row for row, _ in one.to_lists()[0]] == [row for row, _ in many.to_lists()[0][:2]]
