"""The heads against loops, and their file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from crossrank.errors import StoreError
from crossrank_lite.heads import (
    AttentionPool,
    HeadSizes,
    LiteHeads,
    Standardise,
    load_heads,
    save_heads,
)

SMALL = HeadSizes(picture=6, word=5, embedding=8, attention=4, hidden=3, token=4, token_hidden=3)


def pool(seed: int = 0) -> AttentionPool:
    torch.manual_seed(seed)
    made = AttentionPool(6, 8, heads=4, hidden_features=3, dropout=0.1).eval()
    with torch.no_grad():
        made.attend.normal_()
    return made


@torch.no_grad()
def test_attention_pool_is_a_weighted_mean_per_head() -> None:
    head, vectors = pool(), torch.randn(3, 7, 6)
    mask = torch.arange(7) < torch.tensor([[7], [1], [4]])
    for item in range(3):
        rows = vectors[item][mask[item]].double()
        slices = []
        for each in range(4):
            weights = np.exp([float(row @ head.attend[:, each].double()) for row in rows])
            shares = weights / weights.sum()
            mean = sum(share * row for share, row in zip(shares, rows, strict=True))
            slices.append(mean @ head.values[each].double())
        joined = torch.cat(slices)
        expected = joined + head.perceptron.double()(joined)
        head.float()
        made = head(vectors, mask)[item]
        np.testing.assert_allclose(made, expected / expected.norm(), atol=1e-6)


@torch.no_grad()
def test_padding_never_counts() -> None:
    head, vectors = pool(), torch.randn(2, 5, 6)
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    spoilt = vectors.masked_fill(~mask[:, :, None], 1e3)
    torch.testing.assert_close(head(spoilt, mask), head(vectors, mask))
    torch.testing.assert_close(head(spoilt, mask)[1:], head(vectors[1:, :2]))


@torch.no_grad()
def test_new_heads_pool_by_the_plain_mean() -> None:
    head = AttentionPool(6, 8, heads=4, hidden_features=3, dropout=0.0).eval()
    vectors = torch.randn(2, 5, 6)
    alone = head(vectors.mean(dim=1, keepdim=True))
    torch.testing.assert_close(head(vectors), alone)


def test_standardise() -> None:
    scale = Standardise(2)
    scale.mean.copy_(torch.tensor([1.0, 2.0]))
    scale.spread.copy_(torch.tensor([2.0, 4.0]))
    assert scale(torch.tensor([[3.0, 2.0]])).tolist() == [[1.0, 0.0]]


def test_heads_come_back_as_written_to_half_precision(tmp_path: Path) -> None:
    heads, path = LiteHeads(SMALL), tmp_path / "heads.safetensors"
    save_heads(heads, path)
    back = load_heads(path)
    assert back.sizes == SMALL
    assert not back.training
    for name, each in heads.state_dict().items():
        torch.testing.assert_close(back.state_dict()[name], each.half().float())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "heads.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(StoreError, match="holds no heads of lite"):
        load_heads(path)
