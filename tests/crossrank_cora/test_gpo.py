"""Generalised pooling against the published vector, naive loops and its special cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrank.errors import InputError
from crossrank_cora import GeneralizedPooling, gpo
from toys.cora_oracle import naive_gpo, naive_gpo_weights

ROWS = torch.tensor([[[1.0, 5.0], [3.0, 2.0], [2.0, 4.0]]], dtype=torch.float64)


def test_the_published_vector() -> None:
    weights = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)
    found = gpo(ROWS, torch.tensor([3]), weights)
    torch.testing.assert_close(found, torch.tensor([[2.3, 4.1]], dtype=torch.float64))


def test_weights_are_taken_as_they_are() -> None:
    """They are not normalised again: twice the weights, twice the vector."""
    weights = torch.tensor([[1.0, 0.6, 0.4]], dtype=torch.float64)
    found = gpo(ROWS, torch.tensor([3]), weights)
    torch.testing.assert_close(found, torch.tensor([[4.6, 8.2]], dtype=torch.float64))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 6), st.integers(1, 5))
def test_it_is_what_naive_loops_say_whatever_the_padding_holds(
    seed: int, batch: int, most: int, dim: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, most, dim)) * 10.0 ** rng.integers(-3, 6)
    lengths, weights = rng.integers(0, most + 1, batch), rng.random((batch, most))
    expected = [
        naive_gpo(rows[:count], own[:count])
        for rows, count, own in zip(x, lengths, weights, strict=True)
    ]
    for filler in (0.0, 1e30, np.nan):
        filled, heavy = x.copy(), weights.copy()
        for row, count in enumerate(lengths):
            filled[row, count:] = filler
            heavy[row, count:] = filler
        found = gpo(*(torch.from_numpy(each) for each in (filled, lengths, heavy)))
        np.testing.assert_allclose(found, np.reshape(expected, (batch, dim)), rtol=1e-12)


def test_maximum_mean_and_the_largest_two_are_special_cases() -> None:
    x = torch.randn(2, 4, 3, dtype=torch.float64)
    lengths = torch.tensor([4, 4])

    def pooled(*weights: float) -> torch.Tensor:
        return gpo(x, lengths, torch.tensor([weights, weights], dtype=torch.float64))

    torch.testing.assert_close(pooled(1, 0, 0, 0), x.amax(dim=1))
    torch.testing.assert_close(pooled(0.25, 0.25, 0.25, 0.25), x.mean(dim=1))
    torch.testing.assert_close(pooled(0.5, 0.5, 0, 0), x.topk(2, dim=1).values.mean(dim=1))


def test_values_below_the_published_padding_are_not_lost() -> None:
    x = torch.tensor([[[-20000.0], [-30000.0], [7.0]]])
    found = gpo(x, torch.tensor([2]), torch.tensor([[1.0, 0.0, 0.0]]))
    assert found.item() == -20000.0


def test_shapes_that_do_not_go_together_are_refused() -> None:
    for lengths, weights in ((torch.ones(2), torch.ones(1, 3)), (torch.ones(1), torch.ones(1, 2))):
        with pytest.raises(InputError, match=r"gpo: x is \[1, 3, 2\].*give \[B, N, D\]"):
            gpo(ROWS, lengths.long(), weights)


def test_gradients() -> None:
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gpo, (x, torch.tensor([4, 2]), weights))


def test_learned_weights_are_those_of_a_naive_recurrent_network() -> None:
    torch.manual_seed(0)
    pool = GeneralizedPooling().double()
    found = pool.weights(torch.tensor([3, 1, 7, 0, 3]), 8)
    for row, count in zip(found, (3, 1, 7, 0, 3), strict=True):
        expected = naive_gpo_weights(pool, count) if count else np.zeros(0)
        np.testing.assert_allclose(row[:count].detach(), expected, rtol=1e-10, atol=1e-14)
        assert not row[count:].any()
    assert torch.equal(found[0], found[4])


def test_without_a_last_layer_it_is_the_mean() -> None:
    pool = GeneralizedPooling().double()
    torch.nn.init.zeros_(pool.linear.weight)
    x = torch.randn(1, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(pool(x, torch.tensor([5])), x.mean(dim=1))


def test_padding_and_order_change_nothing() -> None:
    pool = GeneralizedPooling().double()
    x = torch.randn(1, 5, 3, dtype=torch.float64)
    alone = pool(x, torch.tensor([5]))
    wide = torch.cat([x, torch.randn(1, 9, 3, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(pool(wide, torch.tensor([5])), alone)
    torch.testing.assert_close(pool(x[:, torch.randperm(5)], torch.tensor([5])), alone)


def test_an_empty_set_is_pooled_to_zeros() -> None:
    pool = GeneralizedPooling()
    assert not pool(torch.ones(2, 3, 4), torch.tensor([0, 0])).any()
    assert pool(torch.ones(2, 0, 4), torch.tensor([0, 0])).shape == (2, 4)
