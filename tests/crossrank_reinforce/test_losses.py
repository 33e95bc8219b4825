"""Losses of reinforced training against loops in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from crossrank.errors import ParameterError
from crossrank_reinforce import clip_loss, distillation_loss, reinforced_loss

Matrix = NDArray[np.float64]


def unit(rng: np.random.Generator, rows: int, size: int) -> Matrix:
    made = rng.normal(size=(rows, size))
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True))


def softmax(row: list[float]) -> list[float]:
    top = max(row)
    parts = [math.exp(each - top) for each in row]
    return [each / sum(parts) for each in parts]


def table(images: Matrix, texts: Matrix, scale: float) -> list[list[float]]:
    return [
        [scale * sum(a * b for a, b in zip(image, text, strict=True)) for text in texts]
        for image in images
    ]


def turned(rows: list[list[float]]) -> list[list[float]]:
    return [list(each) for each in zip(*rows, strict=True)]


def naive_clip(images: Matrix, texts: Matrix, scale: float) -> float:
    both = []
    for rows in (table(images, texts, scale), turned(table(images, texts, scale))):
        both.append(-sum(math.log(softmax(row)[n]) for n, row in enumerate(rows)) / len(rows))
    return sum(both) / 2


def naive_distillation(teachers: Any, images: Matrix, texts: Matrix, scale: float) -> float:
    total = 0.0
    for shown, said, factor in teachers:
        student, teacher = table(images, texts, scale), table(shown, said, factor)
        for own, wanted in ((student, teacher), (turned(student), turned(teacher))):
            for a, b in zip(own, wanted, strict=True):
                predicted, target = softmax(a), softmax(b)
                for p, t in zip(predicted, target, strict=True):
                    total += t * (math.log(t) - math.log(p)) / len(own) / 2 / len(teachers)
    return total


def drawn(seed: int, rows: int, teachers: int) -> tuple[Any, Matrix, Matrix, float]:
    rng = np.random.default_rng(seed)
    own = [
        (unit(rng, rows, 4 + n), unit(rng, rows, 4 + n), float(rng.uniform(1, 30)))
        for n in range(teachers)
    ]
    return own, unit(rng, rows, 5), unit(rng, rows, 5), float(rng.uniform(1, 30))


def tensors(teachers: Any, *others: Matrix) -> tuple[Any, ...]:
    own = [(torch.from_numpy(a), torch.from_numpy(b), scale) for a, b, scale in teachers]
    return (own, *map(torch.from_numpy, others))


@settings(max_examples=40)
@given(st.integers(0, 1 << 20), st.integers(1, 6), st.integers(1, 3), st.floats(0, 1))
def test_losses_are_the_written_out_ones(seed: int, rows: int, count: int, weight: float) -> None:
    teachers, images, texts, scale = drawn(seed, rows, count)
    own, shown, said = tensors(teachers, images, texts)
    clip, distilled = naive_clip(images, texts, scale), naive_distillation(
        teachers, images, texts, scale
    )  # fmt: skip
    assert float(clip_loss(shown, said, scale)) == pytest.approx(clip, abs=1e-9)
    assert float(distillation_loss(own, shown, said, scale)) == pytest.approx(distilled, abs=1e-9)
    both = float(reinforced_loss(own, shown, said, scale, weight))
    assert both == pytest.approx((1 - weight) * clip + weight * distilled, abs=1e-9)


@settings(max_examples=30)
@given(st.integers(0, 1 << 20), st.integers(2, 6), st.integers(2, 3))
def test_averaging_after_the_softmax_has_the_same_gradient(
    seed: int, rows: int, count: int
) -> None:
    teachers, images, texts, scale = drawn(seed, rows, count)
    own, shown, said = tensors(teachers, images, texts)
    found = []
    for average in ("losses", "softmax"):
        leaf = shown.clone().requires_grad_()
        loss = distillation_loss(own, leaf, said, scale, average)
        torch.autograd.backward(loss)
        assert leaf.grad is not None
        found.append((float(loss.detach()), leaf.grad))
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-9, atol=1e-11)
    assert found[0][0] >= found[1][0] - 1e-9  # convexity of the divergence


def test_a_student_that_is_its_teacher_has_nothing_to_learn() -> None:
    teachers, *_ = drawn(3, 5, 1)
    (own,) = tensors(teachers)
    shown, said, scale = own[0]
    assert float(distillation_loss(own, shown, said, scale)) == pytest.approx(0, abs=1e-12)


def test_a_vector_by_hand() -> None:
    # two pairs, orthogonal student, κ 1; a teacher that sees no difference: S = ½, ½
    images = torch.eye(2, dtype=torch.float64)
    flat = torch.ones(2, 1, dtype=torch.float64)
    e = math.e
    expected = 0.5 * math.log(0.5 * (1 + e) / e) + 0.5 * math.log(0.5 * (1 + e))
    assert float(distillation_loss([(flat, flat, 7.0)], images, images, 1.0)) == pytest.approx(
        expected
    )
    assert float(clip_loss(images, images, 1.0)) == pytest.approx(math.log((1 + e) / e))


def test_at_the_ends_only_one_of_the_two_is_computed() -> None:
    _, images, texts, scale = drawn(4, 3, 1)
    shown, said = map(torch.from_numpy, (images, texts))
    assert float(reinforced_loss([], shown, said, scale, 0.0)) == float(
        clip_loss(shown, said, scale)
    )
    teachers, *_ = drawn(4, 3, 1)
    (own,) = tensors(teachers)
    assert float(reinforced_loss(own, shown, said, scale, 1.0)) == float(
        distillation_loss(own, shown, said, scale)
    )


def test_what_cannot_be_distilled() -> None:
    teachers, images, texts, scale = drawn(5, 3, 1)
    own, shown, said = tensors(teachers, images, texts)
    for weight in (-0.1, 1.1, float("nan")):
        with pytest.raises(ParameterError, match="weight is"):
            reinforced_loss(own, shown, said, scale, weight)
    with pytest.raises(ParameterError, match="no teacher"):
        distillation_loss([], shown, said, scale)
    with pytest.raises(ParameterError, match="same batch"):
        distillation_loss(own, shown[:2], said[:2], scale)
    with pytest.raises(ParameterError, match="'losses' or 'softmax'"):
        distillation_loss(own, shown, said, scale, "mean")
