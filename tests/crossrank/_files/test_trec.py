"""Run files and relevance judgements."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossrank._files.trec import read_qrels, read_run, strictly_falling, write_qrels, write_run
from crossrank.errors import DuplicateIdError, FormatError

floats = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(floats, max_size=20))
def test_scores_fall_strictly_in_float32(scores: list[float]) -> None:
    texts = strictly_falling(sorted(scores, reverse=True))
    values = np.array([np.float32(text) for text in texts], np.float32)
    assert np.isfinite(values).all()
    assert (np.diff(values) < 0).all()


def test_distinct_scores_are_written_as_they_are() -> None:
    assert strictly_falling([0.5, 0.25, -1.0]) == ["0.5", "0.25", "-1.0"]


def test_round_trip_keeps_order_and_ids(tmp_path: Path) -> None:
    run = {"q1": {"d2": 0.5, "d1": 0.5, "d3": 0.1}, "q2": {"d1": 1.0}}
    write_run(tmp_path / "run", run)
    again = read_run(tmp_path / "run")
    assert {query: list(members) for query, members in again.items()} == {
        "q1": ["d2", "d1", "d3"],
        "q2": ["d1"],
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q Q0 d 1 0.5", "5 fields instead of 6"),
        ("q Q0 my dog 1 0.5 tag", "7 fields"),
        ("q Q0 d 1 nan tag", "'nan'"),
        ("q Q0 d 1 inf tag", "'inf'"),
        ("q Q0 d 1 high tag", "'high'"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "run"
    path.write_text(f"q Q0 other 1 0.9 tag\n\n{line}\n")
    with pytest.raises(FormatError, match=message) as caught:
        read_run(path)
    assert "run:3" in str(caught.value)


def test_a_candidate_listed_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_text("q Q0 d 1 0.9 t\nq Q0 d 2 0.8 t\n")
    with pytest.raises(DuplicateIdError, match="'d'"):
        read_run(path)


@pytest.mark.parametrize("id", ["my dog", "tab\tid", "", "nbsp\u00a0id"])
def test_an_id_with_white_space_cannot_be_written(tmp_path: Path, id: str) -> None:
    with pytest.raises(FormatError, match="white space"):
        write_run(tmp_path / "run", {"q": {id: 1.0}})
    assert list(tmp_path.iterdir()) == []


def test_missing_and_binary_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="nowhere"):
        read_run(tmp_path / "nowhere")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="binary"):
        read_run(tmp_path / "binary")


def test_qrels_round_trip_and_refuse_fractions(tmp_path: Path) -> None:
    qrels = {"q1": {"d1": 1, "d2": 0}, "q2": {"d1": 2}}
    write_qrels(tmp_path / "qrels", qrels)
    assert read_qrels(tmp_path / "qrels") == qrels
    (tmp_path / "bad").write_text("q 0 d 0.5\n")
    with pytest.raises(FormatError, match="whole number"):
        read_qrels(tmp_path / "bad")
