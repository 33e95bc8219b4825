"""Orders that a model writes down: windows, answers of every kind, and the real generation."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crossrank as cr
from crossrank.errors import ParameterError
from crossrank_vlm.listwise import VlmListwiseReranker, permutation, starts

from .conftest import both, images, texts


def test_windows_go_from_the_bottom_to_the_top() -> None:
    assert list(starts(10, 4, 2)) == [6, 4, 2, 0]
    assert list(starts(5, 4, 2)) == [1, 0]
    assert list(starts(3, 4, 2)) == [0]
    assert list(starts(1, 4, 2)) == []


@given(st.integers(2, 40), st.integers(2, 9), st.integers(1, 8))
def test_windows_overlap_and_cover_the_list(count: int, window: int, stride: int) -> None:
    stride = min(stride, window - 1)
    found = list(starts(count, window, stride))
    assert found[-1] == 0
    assert found[0] + window >= count
    assert all(one - other <= stride for one, other in itertools.pairwise(found))


def test_answers() -> None:
    assert permutation("[2] > [1] > [3]", 3) == [1, 0, 2]
    assert permutation("2, 1", 2) == [1, 0]
    for wrong in (
        "",
        "[1]",
        "[1] > [1]",
        "[1] > [3]",
        "the second",
        "[0] > [1]",
        "[1] > [2] > [3]",
    ):
        assert permutation(wrong, 2) is None


def reranked(
    monkeypatch: pytest.MonkeyPatch, folder: Path, paths: list[str], answers: Any
) -> tuple[tuple[str, ...], VlmListwiseReranker]:
    monkeypatch.setattr(VlmListwiseReranker, "_answer", answers)
    gallery = images(paths)
    run = {"t0": {id: -float(place) for place, id in enumerate(gallery.ids)}}
    lists = cr.Candidates.from_run(run, candidate_ids=gallery.ids)
    params = {"model": folder, "window": 2, "stride": 1}
    stage = cr.Stage("vlm_listwise", fusion=cr.Replace(), params=params)
    ranking = cr.Pipeline(stage).rerank(lists, texts(), gallery)["t0"]
    scorer: Any = stage.scorer
    return ranking.ids, scorer


def test_the_best_rises_from_the_bottom_and_malformed_answers_keep_the_order(
    qwen3: Path,
    paths: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def best(self: Any, state: Any, query: int, candidates: list[int]) -> str:
        return "[2] > [1]" if candidates[1] == 3 else "[1] > [2]"

    ids, _ = reranked(monkeypatch, qwen3, paths, best)
    assert ids == ("i3", "i0", "i1", "i2")
    with caplog.at_level(logging.WARNING):
        ids, scorer = reranked(monkeypatch, qwen3, paths, lambda *given: "I cannot")
    assert ids == ("i0", "i1", "i2", "i3")
    assert (scorer.windows, scorer.malformed) == (3, 3)
    assert "3 of 3 answers are no permutation" in caplog.text


def test_a_real_model_answers_something(checkpoint: Path, paths: list[str]) -> None:
    gallery = both(paths)
    lists = cr.Candidates.from_lists({"t0": list(gallery.ids)}, candidate_ids=gallery.ids)
    stage = cr.Stage("vlm_listwise", fusion=cr.Replace(), params={"model": checkpoint})
    ranking = cr.Pipeline(stage).rerank(lists, texts(), gallery)["t0"]
    assert set(ranking.ids) == set(gallery.ids)
    scorer: Any = stage.scorer
    assert scorer.windows == 1


def test_what_it_refuses() -> None:
    for params, said in (
        ({"window": 1}, "window is 1"),
        ({"window": 3, "stride": 3}, "would not overlap"),
        ({"preset": "x"}, "preset is 'x'"),
    ):
        with pytest.raises(ParameterError, match=said):
            cr.Stage("vlm_listwise", params={"model": "nowhere", **params})
