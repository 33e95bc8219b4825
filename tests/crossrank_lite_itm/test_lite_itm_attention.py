"""The network against naive float64 loops, and its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrank.errors import ParameterError, StoreError
from crossrank_lite_itm.attention import (
    CrossAttention,
    best_and_mean,
    masked_softmax,
    squared_lengths,
)
from crossrank_lite_itm.network import LiteItm, load_network, save_network
from toys.lite_itm import SIZES, naive_score, random_network


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 99))
def test_a_pair_scores_as_in_naive_loops(cells: int, words: int, seed: int) -> None:
    network = random_network(seed=seed)
    chance = torch.Generator().manual_seed(seed)
    regions = torch.randn(cells, SIZES.region, generator=chance)
    raw = torch.randn(words, SIZES.word, generator=chance)
    tokens = torch.randn(words, SIZES.token, generator=chance)
    found = network(network.project_cells(regions)[None], network.project_words(raw, tokens)[None])
    expected = naive_score(network, regions, raw, tokens)
    assert found.shape == (1, 1)
    assert found.item() == pytest.approx(expected, rel=2e-5, abs=2e-5)


def test_a_pair_by_hand() -> None:
    """Two cells, one word that equals the first: its cosine is e^λ / sqrt(e^2λ + 1)."""
    attention = CrossAttention(2, 2, 2, 1)
    cells, words = torch.eye(2)[None], torch.tensor([[[1.0, 0.0]]])
    sharp = np.exp(10.0)
    by_words, by_cells = sharp / np.sqrt(sharp**2 + 1), 0.5
    assert attention(cells, words).item() == pytest.approx(20 * (by_words + by_cells), rel=1e-5)


def test_padding_does_not_matter() -> None:
    network = random_network()
    cells = torch.nn.functional.normalize(torch.randn(3, 4, 2, 8), dim=-1)
    words = torch.nn.functional.normalize(torch.randn(2, 5, 2, 8), dim=-1)
    wider = torch.cat([cells, torch.full((3, 2, 2, 8), 7.0)], dim=1)
    longer = torch.cat([words, torch.full((2, 1, 2, 8), 7.0)], dim=1)
    padded = network(
        wider, longer, torch.arange(6).expand(3, 6) < 4, torch.arange(6).expand(2, 6) < 5
    )
    torch.testing.assert_close(padded, network(cells, words), rtol=1e-5, atol=1e-5)


def test_the_order_of_cells_and_of_words_does_not_matter() -> None:
    network = random_network()
    cells = torch.nn.functional.normalize(torch.randn(3, 4, 2, 8), dim=-1)
    words = torch.nn.functional.normalize(torch.randn(2, 5, 2, 8), dim=-1)
    torch.testing.assert_close(
        network(cells[:, [2, 0, 3, 1]], words[:, [4, 1, 0, 2, 3]]),
        network(cells, words),
        rtol=1e-5,
        atol=1e-5,
    )


def test_gates_start_uniform() -> None:
    attention = CrossAttention(4, 3, 8, 5).eval()
    cells = torch.nn.functional.normalize(torch.randn(1, 4, 8), dim=-1)
    words = torch.nn.functional.normalize(torch.randn(1, 3, 8), dim=-1)
    twice = torch.cat([words, words], dim=1)
    torch.testing.assert_close(attention(cells, twice), attention(cells, words))


def test_an_ease_moves_all_scores_of_a_text_or_a_picture_alike() -> None:
    attention = CrossAttention(4, 3, 8, 5).eval().requires_grad_(False)
    cells = torch.nn.functional.normalize(torch.randn(3, 4, 8), dim=-1)
    words = torch.nn.functional.normalize(torch.randn(2, 3, 8), dim=-1)
    plain = attention(cells, words)
    attention.word_ease.copy_(torch.randn(8))
    moved = attention(cells, words) - plain
    expected = 20 * (words @ attention.word_ease).mean(dim=1)
    torch.testing.assert_close(moved, expected.expand(3, 2), rtol=1e-4, atol=1e-4)
    attention.cell_ease.copy_(torch.randn(8))
    moved = attention(cells, words) - plain - moved
    expected = 20 * (cells @ attention.cell_ease).mean(dim=1)
    torch.testing.assert_close(moved, expected[:, None].expand(3, 2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("words", [1, 3, 4, 9])
def test_squared_lengths_either_way(words: int) -> None:
    attention, cells = torch.randn(2, words, 4).double(), torch.randn(2, 4, 6).double()
    expected = [
        [sum(a * v for a, v in zip(look, seen, strict=True)).square().sum() for look in looks]
        for looks, seen in zip(attention, cells, strict=True)
    ]
    torch.testing.assert_close(squared_lengths(attention, cells), torch.tensor(expected))


def test_best_and_mean_leave_padding_out() -> None:
    similarity = torch.tensor([[[[-1.0, -3.0, 9.0]]], [[[1.0, 2.0, 6.0]]]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    best, mean = best_and_mean(similarity, mask)
    assert best.flatten().tolist() == [-1.0, 6.0]
    assert mean.flatten().tolist() == [-2.0, 3.0]
    best, mean = best_and_mean(similarity, None)
    assert best.flatten().tolist() == [9.0, 6.0]
    assert mean.flatten().tolist() == pytest.approx([5 / 3, 3.0])


def test_gradients() -> None:
    attention = CrossAttention(3, 3, 3, 2).double()
    torch.nn.init.normal_(attention.evidence.weight)
    cells = torch.randn(2, 3, 3, dtype=torch.double, requires_grad=True)
    words = torch.randn(2, 4, 3, dtype=torch.double, requires_grad=True)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    assert torch.autograd.gradcheck(lambda c, w: attention(c, w, None, mask), (cells, words))


def test_a_masked_softmax_leaves_padding_nothing() -> None:
    found = masked_softmax(torch.tensor([[1.0, 1.0, 9.0]]), torch.tensor([[True, True, False]]), 1)
    assert found.tolist() == [[0.5, 0.5, 0.0]]


def test_the_file_gives_the_network_back(tmp_path: Path) -> None:
    network = random_network()
    save_network(network, tmp_path / "w.safetensors")
    read = load_network(tmp_path / "w.safetensors")
    assert read.sizes == network.sizes
    for name, each in network.state_dict().items():
        torch.testing.assert_close(read.state_dict()[name], each.half().float())
    assert not read.training
    save_network(read, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (
        tmp_path / "w.safetensors"
    ).read_bytes()


def test_the_first_members_are_a_smaller_network(tmp_path: Path) -> None:
    network = random_network()
    save_network(network, tmp_path / "w.safetensors")
    first = load_network(tmp_path / "w.safetensors", members=1)
    assert first.sizes == replace(SIZES, members=1)
    cells, words = torch.randn(2, 3, 2, 8), torch.randn(1, 4, 2, 8)
    expected = load_network(tmp_path / "w.safetensors").members[0](cells[:, :, 0], words[:, :, 0])
    torch.testing.assert_close(first(cells[:, :, :1], words[:, :, :1]), expected)
    with pytest.raises(ParameterError, match=r"members is 3, but .* holds 2"):
        load_network(tmp_path / "w.safetensors", members=3)


def test_other_files_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    with pytest.raises(StoreError, match="cannot be read"):
        load_network(tmp_path / "absent.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(StoreError, match=r"holds no weights of lite_itm; .*train_lite_itm\.py"):
        load_network(tmp_path / "other.safetensors")
    save_network(LiteItm(SIZES), tmp_path / "w.safetensors")
    whole = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-10])
    with pytest.raises(StoreError, match="cannot be read"):
        load_network(tmp_path / "cut.safetensors")
