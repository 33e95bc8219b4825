"""Products with packed weights are those of torch, and torch's own where it cannot pack."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from crossrank_lite import packed as kit
from crossrank_lite.packed import packed, product


@pytest.fixture
def numbers() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = (37, 48), (24, 48), (24,)
    found = [torch.randn(*shape, generator=generator) for shape in shapes]
    return found[0], found[1], found[2]


@pytest.mark.parametrize("rows", [1, 5, 37])
def test_packed_products_are_those_of_torch(
    numbers: tuple[Tensor, Tensor, Tensor], rows: int
) -> None:
    states, weight, bias = numbers
    found = product(states[:rows], packed(weight), bias)
    torch.testing.assert_close(found, functional.linear(states[:rows], weight, bias))


def test_bfloat16_is_multiplied_and_float32_returned(
    numbers: tuple[Tensor, Tensor, Tensor],
) -> None:
    states, weight, bias = numbers
    found = product(states, packed(weight.bfloat16()), bias)
    assert found.dtype == torch.float32
    expected = functional.linear(states.bfloat16(), weight.bfloat16()).float() + bias
    torch.testing.assert_close(found, expected, atol=0.2, rtol=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_onednn_torch_multiplies(
    numbers: tuple[Tensor, Tensor, Tensor], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    states, weight, bias = numbers
    monkeypatch.setattr(kit, "_operations", lambda dtype: None)
    assert packed(weight) is weight
    found = product(states, packed(weight.to(dtype)), bias)
    expected = functional.linear(states.to(dtype), weight.to(dtype)).float() + bias
    torch.testing.assert_close(found, expected)


def test_minilm_multiplies_packed_weights_where_it_can() -> None:
    from crossrank_lite.text_tower import TextTower

    layers = TextTower().model._layers
    assert all(layer.widen[0].is_mkldnn for layer in layers) == (
        kit._operations(torch.float32) is not None
    )
