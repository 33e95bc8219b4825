"""Late interaction by torch on a device, against the naive loop in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError, ParameterError
from crossrank.plugin import torch_device as devices
from crossrank.plugin.torch_pairs import scores_on_device
from crossrank.testing import check_reranker, make_collection
from crossrank_filip.device_kernel import (
    late_interaction_on,
    mean_over_candidates,
    mean_over_queries,
)
from crossrank_filip.interaction import MeanOver
from crossrank_filip.reranker import FilipReranker
from toys.device import DEVICES, HERE, on_device

SIDES: tuple[MeanOver, ...] = ("queries", "candidates")
Problem = tuple[cr.Ragged, cr.Ragged, Any, Any]


def problem(
    seed: int, counts: tuple[int, int] = (5, 9), longest: tuple[int, int] = (7, 30), dim: int = 16
) -> Problem:
    """Return ragged tokens whose products are all negative for odd seeds: padding would win."""
    rng = np.random.default_rng(seed)
    made = []
    for sign, count, most in zip((1, -1), counts, longest, strict=True):
        lengths = rng.integers(1, most + 1, count)
        rows = rng.normal(size=(int(lengths.sum()), dim))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        made.append(cr.Ragged((sign * np.abs(rows) if seed % 2 else rows), lengths))
    index = np.array([rng.permutation(counts[1]) for _ in range(counts[0])])
    return made[0], made[1], index, rng.random(index.shape) < (1.0 if seed % 3 else 0.4)


def as_type(case: Problem, dtype: type) -> Problem:
    queries, candidates, index, mask = case
    typed = [cr.Ragged(each.flat.astype(dtype), each.lengths) for each in (queries, candidates)]
    return typed[0], typed[1], index, mask


def expected(case: Problem, side: MeanOver) -> np.ndarray[Any, Any]:
    queries, candidates, index, mask = case
    scores = np.zeros(index.shape)
    for row, place in np.argwhere(mask):
        asked, listed = (
            each.astype(np.float64) for each in (queries[row], candidates[index[row, place]])
        )
        outer, inner = (asked, listed) if side == "queries" else (listed, asked)
        scores[row, place] = np.mean([max(float(a @ b) for b in inner) for a in outer])
    return scores


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_pair_equals_the_loop(device: str, side: MeanOver, dtype: type, seed: int) -> None:
    case = as_type(problem(seed), dtype)
    found = late_interaction_on(device, *case, mean_over=side)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(case, side), atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("side", SIDES)
def test_larger_shapes_in_many_chunks_with_tf32_wished_for(
    device: str, side: MeanOver, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = as_type(problem(2, (8, 40), (32, 196), 96), np.float32)
    monkeypatch.setattr(devices, "CHUNK_BYTES", 1 << 20)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        found = late_interaction_on(device, *case, mean_over=side)
    finally:
        torch.set_float32_matmul_precision(before)
    np.testing.assert_allclose(found, expected(case, side), atol=1e-6)


@pytest.mark.parametrize("work", [mean_over_queries, mean_over_candidates])
def test_no_pair_is_read_back_alone(work: Any) -> None:
    """On the device ``meta`` there are no values, so reading one would be an error."""
    queries, candidates, index, mask = problem(1)
    rows, columns = np.nonzero(mask)
    pairs = rows, index[rows, columns]
    assert scores_on_device("filip", "meta", queries, candidates, *pairs, work, 1, 4).shape == (
        1,
        len(rows),
    )


def test_what_cannot_be_compared_is_refused_as_on_the_processor() -> None:
    queries, candidates = cr.Ragged(np.ones((2, 3)), [2, 0]), cr.Ragged(np.ones((2, 3)), [2])
    every = np.zeros((2, 1), np.int64), np.ones((2, 1), bool)
    with pytest.raises(InputError, match="query 1 has no token"):
        late_interaction_on(HERE, queries, candidates, *every)
    wide = cr.Ragged(np.ones((2, 4)), [2])
    with pytest.raises(FeatureMismatchError, match="same encoder"):
        late_interaction_on(HERE, wide, candidates, every[0][:1], every[1][:1])
    found = late_interaction_on(HERE, queries, candidates, every[0], np.zeros((2, 1), bool))
    assert found.tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("check", check_reranker(on_device(FilipReranker)))
def test_the_promises(check: Callable[[], None]) -> None:
    check()


def rerank(device: str, **params: Any) -> np.ndarray[Any, Any]:
    queries, gallery = make_collection("text", 6), make_collection("image", 20)
    lists = cr.Candidates.from_lists(
        {id: list(gallery.ids) for id in queries.ids}, candidate_ids=gallery.ids
    )
    pipeline = cr.Pipeline(cr.Stage("filip", fusion=cr.Replace(), params=params))
    return pipeline.rerank(lists, queries, gallery, device=device).to_similarity()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mode", ["auto", "i2t", "both"])
def test_a_run_on_a_device_scores_as_one_without(
    device: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = rerank("cpu", mode=mode)
    asked: list[str] = []

    def recorded(device: str, *case: Any, **options: Any) -> Any:
        asked.append(device)
        return late_interaction_on(device, *case, **options)

    monkeypatch.setattr("crossrank_filip.device_kernel.late_interaction_on", recorded)
    np.testing.assert_allclose(rerank(device, mode=mode), here, atol=1e-6)
    assert asked and set(asked) == {device}


def test_a_device_that_is_not_there_is_not_ignored() -> None:
    with pytest.raises(ParameterError, match=r"filip: torch cannot use the device 'nonsense'"):
        rerank("nonsense")
    with pytest.raises(ParameterError, match=r"backend='numpy' computes on the processor"):
        rerank(HERE, backend="numpy")
