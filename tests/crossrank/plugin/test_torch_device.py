"""Devices that are not there, chunks that do not fit, and products that must be exact."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import crossrank as cr
from crossrank.errors import BudgetError, MissingPackageError, ParameterError
from crossrank.plugin import torch_device as devices
from crossrank.plugin.torch_pairs import Items, Padded, score_pairs, scores_on_device
from toys.device import DEVICES, HERE

FULL = torch.cuda.OutOfMemoryError("CUDA out of memory")


def test_the_processor_is_no_device_unless_it_is_asked_for_by_number() -> None:
    assert devices.device_of("mine", "cpu", "mine") is None
    assert devices.device_of("mine", HERE, "mine") == HERE


@pytest.mark.parametrize("name", ["nonsense", "", "meta", "cuda:99"])
def test_a_device_that_cannot_be_used(name: str) -> None:
    said = rf"^mine: torch cannot use the device '{name}' here: .+; give device='cpu'$"
    with pytest.raises(ParameterError, match=said) as caught:
        devices.device_of("mine", name, "mine")
    assert len(str(caught.value)) < 400


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def zeros(*shape: int, **options: Any) -> torch.Tensor:
        raise AssertionError("Torch not compiled with CUDA enabled")

    monkeypatch.setattr(torch, "zeros", zeros)
    with pytest.raises(ParameterError, match="'cuda' here: Torch not compiled with CUDA enabled"):
        devices.device_of("mine", "cuda", "mine")


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPackageError, match=r'pip install "crossrank\[filip\]"'):
        devices.device_of("filip", "cuda", "filip")
    assert devices.device_of("filip", "cpu", "filip") is None


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 60), st.integers(1, 200))
def test_chunks_cover_everything_once_and_halve_until_they_fit(
    costs: list[int], most: int, free: int
) -> None:
    """A device that holds `free` bytes and is asked for chunks of `most`."""
    falling = np.sort(np.array(costs, np.int64))[::-1]
    seen: list[int] = []

    def work(part: slice) -> None:
        if falling[part.start] * (part.stop - part.start) > free:
            raise FULL
        seen.extend(range(part.start, part.stop))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "CHUNK_BYTES", most)
        if len(falling) and falling[0] > free:
            with pytest.raises(BudgetError, match="not enough memory for a single one"):
                devices.in_chunks("mine", HERE, falling, work)
        else:
            devices.in_chunks("mine", HERE, falling, work)
            assert seen == list(range(len(falling)))


def test_a_chunk_takes_a_quarter_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "free_bytes", lambda device: 400)
    parts: list[slice] = []
    devices.in_chunks("mine", HERE, np.full(25, 10, np.int64), parts.append)
    assert [part.stop - part.start for part in parts] == [10, 10, 5]


def test_what_is_free_on_a_gpu_counts_what_torch_keeps_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 4000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 300)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 100)
    assert devices.free_bytes("cuda:1") == 1200
    assert devices.free_bytes(HERE) == devices.UNKNOWN_FREE


def test_products_are_exact_until_the_last_worker_leaves() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        products = torch.backends.cuda.matmul
        assert products.allow_tf32
        with devices.exact_products():
            with devices.exact_products():
                assert products.fp32_precision == "ieee"
            assert products.fp32_precision == "ieee"
        assert products.allow_tf32
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


def sides(seed: int, half: bool = False) -> tuple[cr.Ragged, cr.Ragged, Any, Any]:
    rng = np.random.default_rng(seed)
    made = []
    for count in (5, 7):
        lengths = rng.integers(1, 6, count)
        rows = rng.integers(-8, 9, size=(lengths.sum(), 3))  # exact in float16 and in sums
        made.append(cr.Ragged(rows.astype(np.float16 if half else np.float32), lengths))
    return made[0], made[1], rng.integers(0, 5, 40), rng.integers(0, 7, 40)


def total(asked: Padded, listed: Padded) -> torch.Tensor:
    """The mean over a query's rows of their sum, and the largest number of the candidate."""
    return torch.stack([asked.mean(asked.rows.sum(dim=2)), listed.rows.amax(dim=(1, 2))])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("free", [None, 4 * 96, 4 * 500])
def test_pairs_in_any_parts_and_chunks(
    device: str, half: bool, free: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Little memory: the candidates move in parts, pair by pair."""
    if free is not None:
        for module in ("torch_device", "torch_pairs"):
            monkeypatch.setattr(f"crossrank.plugin.{module}.free_bytes", lambda device: free)
    queries, candidates, of_queries, of_candidates = sides(3, half)
    for flat in (queries.flat, candidates.flat):
        flat.flags.writeable = False  # as a block's features are
    found = score_pairs(
        "mine", device, queries, candidates, of_queries, of_candidates, total, outputs=2
    )
    assert found.dtype == np.float32
    for pair, (asked, listed) in enumerate(zip(of_queries, of_candidates, strict=True)):
        row = queries[asked].astype(np.float64).sum(axis=1).mean()
        np.testing.assert_allclose(found[0, pair], row, rtol=1e-6)
        assert found[1, pair] == candidates[listed].max()


def test_no_pairs() -> None:
    queries, candidates, *_ = sides(0)
    none = np.zeros(0, np.int64)
    found = score_pairs("mine", HERE, queries, candidates, none, none, total, outputs=2)
    assert found.shape == (2, 0)


def test_nothing_waits_for_the_device_before_the_scores_are_read() -> None:
    """On the device ``meta`` there are no values, so reading one would be an error."""
    scores = scores_on_device("mine", "meta", *sides(1), total, 2, 4)
    assert scores.shape == (2, 40)


def test_features_that_do_not_fit_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Items, items: cr.Ragged, device: str) -> None:
        raise FULL

    monkeypatch.setattr(Items, "__init__", full)
    with pytest.raises(BudgetError, match=r"mine: .* not enough memory for \d+ rows of features"):
        score_pairs("mine", HERE, *sides(0), total, outputs=2)


def test_padding_is_not_averaged_even_where_it_is_infinite() -> None:
    padded = Padded(torch.zeros(2, 3, 1), torch.tensor([1, 3]))
    values = torch.tensor([[2.0, torch.inf, torch.nan], [1.0, 2.0, 6.0]])
    assert padded.mean(values).tolist() == [2.0, 3.0]


def test_a_model_is_copied_once_to_a_device_and_stays_where_it_is() -> None:
    model = torch.nn.Linear(2, 1)
    assert devices.on_device(model, None) is model
    there = devices.on_device(model, "meta")
    assert there.weight.is_meta and not model.weight.is_meta
    assert devices.on_device(model, "meta") is there
    assert devices.on_device(torch.nn.Linear(2, 1), "meta") is not there
