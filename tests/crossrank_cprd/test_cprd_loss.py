"""The loss against a naive double loop in float64, and the properties that define it."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

import crossrank_cprd
from crossrank_cprd.baselines import contrastive_loss, kl_loss, listmle_loss
from crossrank_cprd.loss import CprdLoss, cprd_loss


def naive(student: Tensor, teacher: Tensor, valid: Tensor, mask: Tensor, tau: float) -> float:
    """The sum of the paper, pair by pair."""
    total, rows = 0.0, 0
    for s, t, v, m in zip(*(x.tolist() for x in (student, teacher, valid, mask)), strict=True):
        order = sorted((k for k in range(len(s)) if m[k]), key=lambda k: -t[k])
        first_invalid = next((j for j, k in enumerate(order) if not v[k]), len(order))
        rows += first_invalid > 0
        for j in range(first_invalid):
            behind = sum(math.exp(s[k] / tau) for k in order[j:])
            total -= math.log(math.exp(s[order[j]] / tau) / behind)
    return total / max(rows, 1)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
    """Rows with distinct teacher scores, a threshold of its own per row, and a random mask."""
    rows, width = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    student = torch.from_numpy(chance.uniform(-1, 1, (rows, width)))
    teacher = torch.from_numpy(np.stack([chance.permutation(width) for _ in range(rows)]) * 1.0)
    threshold = torch.from_numpy(chance.integers(-1, width + 1, (rows, 1)))
    mask = torch.from_numpy(chance.random((rows, width)) < draw(st.sampled_from([0.5, 0.9, 1.1])))
    return student, teacher, teacher >= threshold, mask, draw(st.sampled_from([0.07, 0.5, 2.0]))


@given(problems())
@settings(deadline=None)
def test_it_is_the_double_loop(problem: tuple[Tensor, Tensor, Tensor, Tensor, float]) -> None:
    assert cprd_loss(*problem).item() == pytest.approx(naive(*problem), rel=1e-9, abs=1e-12)


@given(problems(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_the_columns_does_not_matter(
    problem: tuple[Tensor, Tensor, Tensor, Tensor, float], chance: random.Random
) -> None:
    *columns, tau = problem
    places = list(range(columns[0].shape[1]))
    chance.shuffle(places)
    moved = [each[:, places] for each in columns]
    torch.testing.assert_close(
        cprd_loss(moved[0], moved[1], moved[2], moved[3], tau), cprd_loss(*problem)
    )


@given(problems())
@settings(deadline=None)
def test_only_the_order_of_the_teacher_matters(
    problem: tuple[Tensor, Tensor, Tensor, Tensor, float],
) -> None:
    student, teacher, valid, mask, tau = problem
    for other in (teacher.exp(), teacher**3 - 5, 1e-9 * teacher):
        assert torch.equal(
            cprd_loss(student, other, valid, mask, tau),
            cprd_loss(student, teacher, valid, mask, tau),
        )


@given(problems())
@settings(deadline=None)
def test_the_order_of_the_invalid_tail_does_not_matter(
    problem: tuple[Tensor, Tensor, Tensor, Tensor, float],
) -> None:
    student, teacher, valid, mask, tau = problem
    reversed_tail = torch.where(valid, teacher, -100 - teacher)
    torch.testing.assert_close(
        cprd_loss(student, reversed_tail, valid, mask, tau), cprd_loss(*problem)
    )


@given(problems())
@settings(deadline=None)
def test_what_is_masked_counts_nowhere(
    problem: tuple[Tensor, Tensor, Tensor, Tensor, float],
) -> None:
    student, teacher, valid, mask, tau = problem
    spoilt = student.masked_fill(~mask, torch.nan), teacher.masked_fill(~mask, torch.nan)
    flipped = torch.where(mask, valid, ~valid)
    assert torch.equal(cprd_loss(*spoilt, flipped, mask, tau), cprd_loss(*problem))


@given(problems())
@settings(deadline=None, max_examples=30)
def test_gradients(problem: tuple[Tensor, Tensor, Tensor, Tensor, float]) -> None:
    student, teacher, valid, mask, tau = problem
    tau = max(tau, 0.5)
    scores = student.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: cprd_loss(s, teacher, valid, mask, tau), (scores,))
    assert torch.autograd.gradcheck(lambda s: kl_loss(s, teacher, mask, tau), (scores,))
    (gradient,) = torch.autograd.grad(cprd_loss(scores, teacher, valid, mask, tau), scores)
    assert not gradient[~mask].any()


def test_all_valid_is_listmle_of_the_textbook() -> None:
    """−log of the Plackett–Luce probability of the teacher's order, written as its product."""
    student = torch.tensor([[0.3, -0.2, 0.9]], dtype=torch.float64)
    teacher = torch.tensor([[2.0, 3.0, 1.0]])
    a, b, c = (student[0, [1, 0, 2]] / 0.5).exp().tolist()
    expected = -math.log(a / (a + b + c) * b / (b + c) * c / c)
    everything = torch.ones(1, 3, dtype=torch.bool)
    assert cprd_loss(student, teacher, everything, tau=0.5).item() == pytest.approx(expected)
    assert listmle_loss(student, teacher, tau=0.5).item() == pytest.approx(expected)


def test_one_valid_is_the_cross_entropy_with_the_teachers_best() -> None:
    student = torch.tensor([[0.3, -0.2, 0.9, 0.1]], dtype=torch.float64)
    teacher = torch.tensor([[2.0, 3.0, 1.0, 0.5]])
    found = cprd_loss(student, teacher, teacher > 2.5, tau=0.07)
    torch.testing.assert_close(found, functional.cross_entropy(student / 0.07, torch.tensor([1])))


def test_the_mean_is_over_the_rows_that_have_a_valid_negative() -> None:
    student = torch.randn(3, 4, dtype=torch.float64)
    teacher = torch.arange(12.0).reshape(3, 4)
    valid = torch.tensor([[False] * 4, [False, False, True, True], [True] * 4])
    mask = torch.tensor([[True] * 4, [True] * 4, [False] * 4])
    alone = cprd_loss(student[1:2], teacher[1:2], valid[1:2])
    torch.testing.assert_close(cprd_loss(student, teacher, valid, mask), alone)


@pytest.mark.parametrize("width", [0, 3])
@pytest.mark.parametrize("case", ["nothing valid", "everything masked"])
def test_without_any_valid_negative_it_is_zero_and_so_is_its_gradient(
    width: int, case: str
) -> None:
    student = torch.randn(2, width, requires_grad=True)
    teacher = torch.zeros(2, width)
    no, yes = torch.zeros(2, width, dtype=torch.bool), torch.ones(2, width, dtype=torch.bool)
    valid, mask = (no, yes) if case == "nothing valid" else (yes, no)
    loss = cprd_loss(student, teacher, valid, mask)
    torch.autograd.backward(loss)
    assert loss.item() == 0 and student.grad is not None and not student.grad.any()


def test_huge_scores_neither_overflow_nor_lose_the_gradient() -> None:
    student = torch.tensor([[500.0, -500.0, 0.0]], requires_grad=True)
    loss = cprd_loss(student, torch.tensor([[1.0, 3.0, 2.0]]), torch.ones(1, 3, dtype=torch.bool))
    torch.autograd.backward(loss)
    assert torch.isfinite(loss) and student.grad is not None and torch.isfinite(student.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype: torch.dtype) -> None:
    student, teacher = torch.randn(3, 8).to(dtype), torch.randn(3, 8)
    found = cprd_loss(student, teacher, teacher > 0, tau=0.5)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, cprd_loss(student.float(), teacher, teacher > 0, tau=0.5))


def test_equal_teacher_scores_across_the_threshold_are_ranked_valid_first() -> None:
    student, teacher = torch.randn(1, 3, dtype=torch.float64), torch.tensor([[1.0, 1.0, 0.0]])
    valid = torch.tensor([[False, True, False]])
    torch.testing.assert_close(
        cprd_loss(student, teacher, valid), cprd_loss(student, torch.tensor([[1.0, 2, 0]]), valid)
    )


def test_the_module_is_the_function_with_a_threshold() -> None:
    student, teacher = torch.randn(4, 6), torch.randn(4, 6)
    mask = torch.rand(4, 6) < 0.8
    expected = cprd_loss(student, teacher, teacher >= 0.2, mask, 0.1)
    assert torch.equal(CprdLoss(0.2, tau=0.1)(student, teacher, mask), expected)
    assert crossrank_cprd.cprd_loss is cprd_loss and crossrank_cprd.CprdLoss is CprdLoss
    with pytest.raises(AttributeError, match="no attribute 'cprd_los'"):
        crossrank_cprd.cprd_los  # noqa: B018


YES = torch.ones(1, 2, dtype=torch.bool)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"valid": torch.tensor([[True, False]])},
            "row 0 a valid negative stands below an invalid",
        ),
        ({"teacher": torch.tensor([[1.0, torch.nan]])}, "row 0, column 1 is NaN"),
        (
            {"teacher": torch.zeros(1, 3)},
            r"one shape \[B, K\]; got student \(1, 2\), teacher \(1, 3",
        ),
        ({"mask": torch.ones(2, 2, dtype=torch.bool)}, "one shape"),
        ({"valid": torch.ones(1, 2)}, r"valid is torch\.float32; give a tensor of bool"),
        ({"tau": 0.0}, "tau must be positive; got 0.0"),
        ({"tau": math.nan}, "tau must be positive"),
    ],
)
def test_bad_input(arguments: dict[str, Tensor], message: str) -> None:
    good = {"student": torch.zeros(1, 2), "teacher": torch.tensor([[1.0, 2.0]]), "valid": YES}
    with pytest.raises(ValueError, match=message):
        cprd_loss(**{**good, **arguments})  # type: ignore[arg-type]


def test_kl_is_scipys_relative_entropy() -> None:
    from scipy.stats import entropy

    student, teacher = torch.randn(3, 5, dtype=torch.float64), torch.randn(3, 5)
    mask = torch.tensor([[True] * 5, [True, True, False, False, True], [False] * 5])
    expected = []
    for row in range(2):
        kept = mask[row]
        goal = (teacher[row, kept].double() / 2).softmax(0)
        expected.append(entropy(goal, (student[row, kept] / 0.1).softmax(0)))
    found = kl_loss(student, teacher, mask, tau=0.1, teacher_tau=2.0)
    assert found.item() == pytest.approx(np.mean(expected))


def test_the_contrastive_loss_is_the_cross_entropy_of_both_sides() -> None:
    similarity = torch.randn(4, 4, dtype=torch.float64)
    target = torch.arange(4)
    expected = (
        sum(functional.cross_entropy(s / 0.1, target) for s in (similarity, similarity.T)) / 2
    )
    found = contrastive_loss(similarity, torch.eye(4, dtype=torch.bool), 0.1)
    torch.testing.assert_close(found, expected)


def test_captions_of_one_image_share_the_target() -> None:
    similarity = torch.randn(2, 3, dtype=torch.float64)
    match = torch.tensor([[True, True, False], [False, False, True]])
    by_image = similarity.log_softmax(1)
    by_text = similarity.log_softmax(0)
    images = ((by_image[0, 0] + by_image[0, 1]) / 2 + by_image[1, 2]) / 2
    texts = (by_text[0, 0] + by_text[0, 1] + by_text[1, 2]) / 3
    torch.testing.assert_close(contrastive_loss(similarity, match, 1.0), -(images + texts) / 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_scores_are_widened_before_the_temperature_divides_them(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.rand(4, 6, generator=generator).to(dtype)
    teacher = torch.rand(4, 6, generator=generator)
    valid = torch.ones(4, 6, dtype=torch.bool)
    found = cprd_loss(student, teacher, valid, tau=0.07)
    assert torch.equal(found, cprd_loss(student.float(), teacher, valid, tau=0.07))
