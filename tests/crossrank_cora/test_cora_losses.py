"""The losses against double loops in float64, by hand, and their gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrank.errors import InputError
from crossrank_cora import specificity_loss, supcon_loss, triplet_loss
from toys.cora_oracle import naive_specificity, naive_supcon, naive_triplet


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6),
    st.integers(1, 6),
    st.integers(1, 7),
    st.sampled_from((0.01, 0.07, 1.0)),
    st.floats(0, 1),
)
def test_they_are_what_double_loops_say(
    seed: int, rows: int, columns: int, tau: float, share: float
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.uniform(-1, 1, (rows, columns))
    positive = rng.random((rows, columns)) < share
    given = torch.from_numpy(scores), torch.from_numpy(positive)
    assert supcon_loss(*given, tau).item() == pytest.approx(
        naive_supcon(scores, positive, tau), rel=1e-10, abs=1e-12
    )
    assert triplet_loss(*given, 0.35).item() == pytest.approx(
        naive_triplet(scores, positive, 0.35), rel=1e-10, abs=1e-12
    )
    whole = rng.uniform(-1, 1, (rows, columns))
    assert specificity_loss(given[0], torch.from_numpy(whole), 0.35).item() == pytest.approx(
        naive_specificity(scores, whole, 0.35), rel=1e-10, abs=1e-12
    )


def test_specificity_by_hand() -> None:
    entity = torch.tensor([0.3, 0.5], dtype=torch.float64)
    found = specificity_loss(entity, torch.full_like(entity, 0.6), 0.35)
    assert found.item() == pytest.approx(0.15, rel=1e-12)


def test_other_positives_stay_out_of_the_denominator() -> None:
    """With two positives and one negative, each positive meets the negative alone."""
    scores = torch.tensor([[0.9, 0.2, 0.4]], dtype=torch.float64)
    positive = torch.tensor([[True, True, False]])
    expected = np.mean([np.log1p(np.exp((0.4 - own) / 0.1)) for own in (0.9, 0.2)])
    assert supcon_loss(scores, positive, 0.1).item() == pytest.approx(expected, rel=1e-12)


def test_rows_without_a_positive_do_not_count() -> None:
    scores = torch.tensor([[0.5, 0.1], [0.9, 0.9]], dtype=torch.float64)
    positive = torch.tensor([[True, False], [False, False]])
    torch.testing.assert_close(
        supcon_loss(scores, positive, 0.07), supcon_loss(scores[:1], positive[:1], 0.07)
    )


@pytest.mark.parametrize("positive", (torch.zeros(3, 4).bool(), torch.ones(3, 4).bool()))
def test_batches_without_negatives_or_positives_have_neither_loss_nor_nan(
    positive: torch.Tensor,
) -> None:
    scores = torch.randn(3, 4, requires_grad=True)
    loss = supcon_loss(scores, positive, 0.01) + triplet_loss(scores, positive, 0.35)
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert scores.grad is not None and not scores.grad.any()


def test_no_entity_no_loss() -> None:
    assert specificity_loss(torch.zeros(0), torch.zeros(0), 0.35).item() == 0


def test_it_does_not_overflow_in_float32() -> None:
    scores = torch.tensor([[-1.0, 1.0]], requires_grad=True)
    loss = supcon_loss(scores, torch.tensor([[True, False]]), 0.01)
    torch.autograd.backward(loss)
    assert loss.item() == pytest.approx(200)
    assert scores.grad is not None and scores.grad.isfinite().all()


def test_captions_of_one_picture_are_no_negatives() -> None:
    scores = torch.tensor([[0.2, 0.9, 0.0], [0.0, 0.0, 0.8]])
    positive = torch.tensor([[True, True, False], [False, False, True]])
    by_hand = (0 + 0.05 + 0 + 0) / 3  # only pair (0, 0) is within 0.25 of a negative, on both sides
    expected = (2 * max(0.0, 0.25 + 0.0 - 0.2)) / 3
    assert expected == pytest.approx(2 * by_hand)
    assert triplet_loss(scores, positive, 0.25).item() == pytest.approx(expected)


def test_gradients() -> None:
    torch.manual_seed(0)
    scores = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    positive = torch.rand(4, 5) < 0.4
    assert torch.autograd.gradcheck(lambda s: supcon_loss(s, positive, 0.5), scores)
    assert torch.autograd.gradcheck(lambda s: triplet_loss(s, positive, 0.35), scores)
    assert torch.autograd.gradcheck(lambda s: specificity_loss(s, s.flip(0), 0.35), scores)


def test_what_they_refuse() -> None:
    scores, positive = torch.zeros(2, 3), torch.zeros(2, 3).bool()
    with pytest.raises(InputError, match="tau is 0; give a temperature above 0"):
        supcon_loss(scores, positive, 0)
    differ = r"\[2, 3\] and \[3, 2\] differ"
    with pytest.raises(InputError, match=differ):
        supcon_loss(scores, positive.T, 0.1)
    with pytest.raises(InputError, match=differ):
        triplet_loss(scores, positive.T, 0.1)
    with pytest.raises(InputError, match=differ):
        specificity_loss(scores, scores.T, 0.1)
