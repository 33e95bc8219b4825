"""The whole perturbation, held against float64 loops and against what it must do to a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import crossrank_qperturb as qperturb
from crossrank.errors import InputError, ParameterError
from crossrank_qperturb.coverage import Grid, patch_coverage
from toys.qperturb import (
    HEAD_SIZE,
    HEADS,
    HIDDEN,
    SIDE,
    Array,
    naive_qformer,
    run_transformers,
    transformers_model,
    vision_output,
)
from toys.rounding import assert_same_formula
from toys.tiny_blip2 import WIDTH

BOXES = [[[0.1, 0.2, 0.6, 0.9], [0.5, 0.0, 1.0, 0.3]], [], [[0.0, 0.0, 1.0, 1.0]]]
WEIGHTS: dict[str, Callable[[float], float]] = {
    "constant": lambda area: 1.0,
    "area": lambda area: area,
    "area_minus_half": lambda area: area - 0.5,
    "minus_area": lambda area: -area,
    "half_minus_area": lambda area: 0.5 - area,
}


@pytest.fixture(scope="module")
def model() -> Any:
    return transformers_model().double()


@pytest.fixture(scope="module")
def image_embeds() -> Tensor:
    return vision_output().double()


def naive_matrices(
    model: Any,
    image_embeds: Tensor,
    boxes: list[Any],
    alpha: float,
    n_pc: float | int,
    weighting: str,
) -> dict[int, Array]:
    """Compute M by the equations, in float64, one number at a time where that is bearable."""
    found = {}
    for number in (0, 2):
        attention = model.qformer.encoder.layer[number].crossattention.attention
        weight = attention.key.weight.detach().double().numpy()
        bias = attention.key.bias.detach().double().numpy()
        matrices = np.zeros((len(boxes), HEADS, HEAD_SIZE, HEAD_SIZE))
        for image, objects in enumerate(boxes):
            keys = image_embeds[image].double().numpy() @ weight.T + bias
            for x0, y0, x1, y1 in objects:
                for head in range(HEADS):
                    gram = np.zeros((HEAD_SIZE, HEAD_SIZE))
                    for patch in range(SIDE**2):
                        row, column = divmod(patch, SIDE)
                        wide = min(x1 * SIDE, column + 1) - max(x0 * SIDE, column)
                        high = min(y1 * SIDE, row + 1) - max(y0 * SIDE, row)
                        key = keys[1 + patch, head * HEAD_SIZE : (head + 1) * HEAD_SIZE]
                        covered = max(wide, 0.0) * max(high, 0.0)
                        gram += np.outer(covered * key, covered * key)
                    energies, vectors = np.linalg.eigh(gram)
                    order = np.argsort(-energies)
                    shares = np.cumsum(energies[order]) / energies.sum()
                    rank = n_pc if isinstance(n_pc, int) else max(1, int((shares < n_pc).sum()))
                    span = vectors[:, order[:rank]]
                    weighed = alpha * WEIGHTS[weighting]((x1 - x0) * (y1 - y0))
                    matrices[image, head] += weighed * span @ span.T / len(objects)
        found[number] = matrices
    return found


@pytest.mark.parametrize("n_pc", [0.5, 0.9, 2])
@pytest.mark.parametrize("weighting", list(WEIGHTS))
def test_the_matrices_equal_the_naive_ones(
    model: Any, image_embeds: Tensor, weighting: str, n_pc: float | int
) -> None:
    found = qperturb.perturbation(
        model, image_embeds, BOXES, alpha=3.0, n_pc=n_pc, weighting=weighting
    )
    expected = naive_matrices(model, image_embeds, BOXES, 3.0, n_pc, weighting)
    assert found.matrices.keys() == expected.keys() and len(found) == 3
    for number, matrices in found.matrices.items():
        assert matrices.shape == (3, HEADS, HEAD_SIZE, HEAD_SIZE)
        assert_same_formula(matrices, expected[number])


@pytest.mark.parametrize("n_pc", [0.9, 3])
def test_a_perturbed_model_equals_a_naive_one_with_perturbed_queries(
    model: Any, image_embeds: Tensor, n_pc: float | int
) -> None:
    perturbation = qperturb.perturbation(model, image_embeds, BOXES, n_pc=n_pc)
    expected = naive_matrices(model, image_embeds, BOXES, 8.0, n_pc, "constant")
    with qperturb.perturbed(model, perturbation):
        found = run_transformers(model, image_embeds)
    assert_same_formula(found, naive_qformer(model, image_embeds, expected))
    plain = {number: np.zeros_like(matrices) for number, matrices in expected.items()}
    baseline = naive_qformer(model, image_embeds, plain)
    assert_same_formula(run_transformers(model, image_embeds), baseline)
    assert np.abs(found.numpy() - baseline)[[0, 2]].max() > 0.05


def test_eager_equals_sdpa(model: Any, image_embeds: Tensor) -> None:
    outputs = []
    for attention in ("eager", "sdpa"):
        twin = transformers_model().double()
        twin.set_attn_implementation(attention)
        with qperturb.perturbed(twin, qperturb.perturbation(twin, image_embeds, BOXES)):
            outputs.append(run_transformers(twin, image_embeds))
    assert_same_formula(*outputs)


@pytest.mark.parametrize(
    ("boxes", "options"),
    [
        ([[], [], []], {}),
        ([np.zeros((0, 4))] * 3, {"preserve_norm": True}),
        (BOXES, {"alpha": 0.0}),
        (BOXES, {"alpha": 0.0, "preserve_norm": True, "projector": "reference_rows"}),
        ([[[0.3, 0.3, 0.3, 0.8]]] * 3, {"preserve_norm": True}),
        ([[[0.1, 0.0, 0.6, 1.0]]] * 3, {"weighting": "area_minus_half"}),
    ],
    ids=["no lists", "no boxes", "alpha 0", "alpha 0, norm", "no area", "half the image"],
)
def test_nothing_to_perturb_is_the_unhooked_model_to_the_bit(
    model: Any, image_embeds: Tensor, boxes: list[Any], options: dict[str, Any]
) -> None:
    baseline = run_transformers(model, image_embeds)
    perturbation = qperturb.perturbation(model, image_embeds, boxes, **options)
    with qperturb.perturbed(model, perturbation):
        assert torch.equal(run_transformers(model, image_embeds), baseline)


@pytest.mark.parametrize("preserve_norm", [False, True])
def test_an_image_without_boxes_is_the_baseline_beside_images_with_boxes(
    model: Any, image_embeds: Tensor, preserve_norm: bool
) -> None:
    baseline = run_transformers(model, image_embeds)
    perturbation = qperturb.perturbation(model, image_embeds, BOXES, preserve_norm=preserve_norm)
    with qperturb.perturbed(model, perturbation):
        found = run_transformers(model, image_embeds)
    assert torch.equal(found[1], baseline[1])
    assert not torch.isclose(found[[0, 2]], baseline[[0, 2]], atol=1e-3).all()


def test_an_image_has_the_same_bits_in_any_batch(model: Any, image_embeds: Tensor) -> None:
    together = qperturb.perturbation(model, image_embeds, BOXES)
    for row in range(3):
        alone = qperturb.perturbation(model, image_embeds[row : row + 1], BOXES[row : row + 1])
        for number, matrices in alone.matrices.items():
            assert torch.equal(matrices[0], together.matrices[number][row])


def test_a_batch_of_pairs_gathers_its_images(model: Any, image_embeds: Tensor) -> None:
    perturbation = qperturb.perturbation(model, image_embeds, BOXES)
    with qperturb.perturbed(model, perturbation):
        one_by_one = run_transformers(model, image_embeds)
    rows = [2, 0, 0, 1, 2]
    for each in (rows, np.array(rows), torch.tensor(rows)):
        pairs = perturbation.take(each)
        assert len(pairs) == 5
        with qperturb.perturbed(model, pairs):
            found = run_transformers(model, image_embeds[rows])
        assert_same_formula(found, one_by_one[rows])
    assert len(perturbation.take([])) == 0
    for wrong, message in (([0.5], "vector of integers"), ([[0]], "vector of integers"),
                           ([True], "vector of integers"), ([0, 3], "rows from 0 to 3 of"),
                           ([-1], "rows from -1 to -1 of a perturbation of 3")):  # fmt: skip
        with pytest.raises(InputError, match=message):
            perturbation.take(wrong)


def _queries_and_keys(model: Any, image_embeds: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Return ``[B, heads, n, d]`` of random queries and of the layer's own keys."""
    attention = qperturb.cross_attentions(model)[number]
    keys = attention.keys(image_embeds).detach().double()
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(len(keys), HEADS, 5, HEAD_SIZE, generator=generator).double()
    return queries, keys


@pytest.mark.parametrize("projector", ["pca", "reference_rows"])
def test_perturbing_queries_is_perturbing_keys(
    model: Any, image_embeds: Tensor, projector: str
) -> None:
    found = qperturb.perturbation(model, image_embeds, BOXES, projector=projector)
    for number, matrices in found.matrices.items():
        queries, keys = _queries_and_keys(model, image_embeds, number)
        m = matrices.double()
        moved = (queries + queries @ m) @ keys.mT
        assert_same_formula(moved, queries @ (keys + keys @ m).mT)
        assert_same_formula(found.change(number)(queries) @ keys.mT, moved)


def test_logits_inside_the_subspace_grow_by_one_plus_alpha(model: Any) -> None:
    image_embeds = vision_output(1).double()
    image_embeds[:, 1:5] = image_embeds[:, 1:2] * torch.tensor([1.0, -2.0, 0.5, 3.0])[:, None]
    box = [[[0.0, 0.0, 1.0, 0.25]]]
    for alpha in (0.5, 8.0):
        found = qperturb.perturbation(model, image_embeds, box, alpha=alpha, n_pc=4)
        for number in found.matrices:
            queries, keys = _queries_and_keys(model, image_embeds, number)
            before = queries @ keys.mT
            after = found.change(number)(queries) @ keys.mT
            inside = slice(1, 5)
            assert_same_formula(after[..., inside], (1 + alpha) * before[..., inside])
            assert (before[..., inside] < 0).any(), "the sign is scaled too"
            assert not torch.allclose(after[..., 5:], (1 + alpha) * before[..., 5:], atol=0.1)


def test_queries_keep_their_norm_where_that_is_asked(model: Any, image_embeds: Tensor) -> None:
    for keep in (True, False):
        found = qperturb.perturbation(model, image_embeds, BOXES, preserve_norm=keep)
        queries, _ = _queries_and_keys(model, image_embeds, 0)
        norms = found.change(0)(queries).norm(dim=-1)
        assert torch.allclose(norms, queries.norm(dim=-1), rtol=1e-5) == keep
    nothing = found.change(0)(torch.zeros_like(queries))
    assert torch.equal(nothing, torch.zeros_like(queries))


def test_objects_are_averaged(model: Any, image_embeds: Tensor) -> None:
    one, two = BOXES[0]
    both = qperturb.perturbation(model, image_embeds[:1], [[one, two]])
    alone = [qperturb.perturbation(model, image_embeds[:1], [[box]]) for box in (one, two)]
    for number, matrices in both.matrices.items():
        mean = (alone[0].matrices[number] + alone[1].matrices[number]) / 2
        assert_same_formula(matrices, mean)
    empty = qperturb.perturbation(model, image_embeds[:1], [[one, [0.4, 0.4, 0.4, 0.9]]])
    for number, matrices in empty.matrices.items():
        assert_same_formula(matrices, alone[0].matrices[number] / 2)


def test_the_class_token_does_not_count(model: Any, image_embeds: Tensor) -> None:
    other = image_embeds.clone()
    other[:, 0] = 100.0
    plain, moved = (qperturb.perturbation(model, each, BOXES) for each in (image_embeds, other))
    for number, matrices in plain.matrices.items():
        assert torch.equal(matrices, moved.matrices[number])


def test_grids(model: Any) -> None:
    boxes = [[[0.0, 0.0, 0.5, 1.0]]]
    tall = vision_output(1, tokens=8)
    found = qperturb.perturbation(model, tall, boxes, grid=(4, 2), n_pc=1)
    other = qperturb.perturbation(model, tall, boxes, grid=(2, 4), n_pc=1)
    assert not torch.allclose(found.matrices[0], other.matrices[0], atol=1e-3)
    bare = qperturb.perturbation(model, vision_output(1)[:, 1:], boxes)
    full = qperturb.perturbation(model, vision_output(1), boxes)
    assert torch.equal(bare.matrices[0], full.matrices[0])
    for tokens, grid in ((8, None), (0, None), (8, (3, 3)), (8, (0, 4))):
        with pytest.raises(InputError, match="grid"):
            qperturb.perturbation(model, vision_output(1, tokens=tokens), boxes, grid=grid)


def test_half_precision_vision_outputs_are_taken(image_embeds: Tensor) -> None:
    model = transformers_model()
    found = qperturb.perturbation(model, image_embeds.bfloat16(), BOXES, n_pc=2)
    rounded = qperturb.perturbation(model, image_embeds.bfloat16().float(), BOXES, n_pc=2)
    for number, matrices in found.matrices.items():
        assert matrices.dtype == torch.float32
        assert torch.equal(matrices, rounded.matrices[number])


def test_nothing_is_tracked_for_gradients_but_the_queries(model: Any) -> None:
    image_embeds = vision_output().requires_grad_()
    perturbation = qperturb.perturbation(model, image_embeds, BOXES)
    assert not perturbation.matrices[0].requires_grad
    with qperturb.perturbed(model, perturbation):
        queries = model.query_tokens.expand(3, -1, -1)
        model.qformer(query_embeds=queries, encoder_hidden_states=image_embeds)[0].sum().backward()
    assert image_embeds.grad is not None and torch.isfinite(image_embeds.grad).all()
    model.zero_grad()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), min_size=1, max_size=4))
def test_the_projector_of_any_boxes_is_bounded_by_alpha(corners: list[Any]) -> None:
    model = transformers_model()
    boxes = [[min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)] for x0, y0, x1, y1 in corners]
    found = qperturb.perturbation(model, vision_output(1), [boxes], alpha=2.0, n_pc=3)
    covers = (patch_coverage(boxes, Grid(SIDE, SIDE)) > 1e-3).any()
    for matrices in found.matrices.values():
        torch.testing.assert_close(matrices, matrices.mT, atol=1e-5, rtol=0)
        energies = torch.linalg.eigvalsh(matrices)
        assert (energies > -1e-4).all() and (energies < 2.0 + 1e-4).all()
        assert not covers or matrices.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_pc": 1.0}, "n_pc is 1.0"),
        ({"n_pc": 0.0}, "n_pc is 0.0"),
        ({"n_pc": 0}, "n_pc is 0"),
        ({"n_pc": -1}, "n_pc is -1"),
        ({"n_pc": True}, "n_pc is True"),
        ({"n_pc": float("nan")}, "n_pc is nan"),
        ({"n_pc": HEAD_SIZE + 1}, "a head has 8 dimensions"),
        ({"alpha": float("inf")}, "alpha is inf"),
        ({"alpha": "8"}, "alpha is '8'"),
        ({"weighting": "areas"}, "give one of constant, area, area_minus_half"),
        ({"projector": "rows"}, "reference_rows"),
        ({"preserve_norm": 1}, "preserve_norm is 1"),
    ],
)
def test_settings_that_cannot_be(
    model: Any, image_embeds: Tensor, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        qperturb.perturbation(model, image_embeds, BOXES, **options)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (BOXES[:2], "2 lists of boxes for 3 images"),
        ([*BOXES, []], "4 lists of boxes for 3 images"),
        ([[], [[0, 0, 1, 1], [0, float("nan"), 1, 1]], []], r"box 1 of image 1, \(0, nan, 1, 1\)"),
        ([[[0, 0, float("inf"), 1]], [], []], "box 0 of image 0.* is not finite"),
        ([[], [], [[12, 40, 200, 180]]], "box 0 of image 2, .*divide by its width and height"),
        ([[[0.0, -0.1, 0.5, 1.0]], [], []], r"leaves \[0, 1\].*clip it"),
        ([[[0.6, 0.1, 0.5, 1.0]], [], []], "box 0 of image 0.* is reversed"),
        ([[[0.1, 0.9, 0.5, 0.8]], [], []], "is reversed"),
        ([[[0.1, 0.2, 0.5]], [], []], r"have shape \[1, 3\]; give \[n, 4\]"),
        ([[0.1, 0.2, 0.5, 0.6], [], []], r"have shape \[4\]; give \[n, 4\]"),
        ([[["a", 0, 1, 1]], [], []], "are no numbers"),
        ([[[0, 0, 1, 1]] * 101, [], []], "image 0 has 101 boxes, the limit is 100"),
    ],
)
def test_boxes_that_cannot_be(
    model: Any, image_embeds: Tensor, boxes: list[Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        qperturb.perturbation(model, image_embeds, boxes)


def test_the_limit_of_boxes_can_be_raised(model: Any, image_embeds: Tensor) -> None:
    many = [[[0.0, 0.0, 1.0, 1.0]] * 101, [], []]
    found = qperturb.perturbation(model, image_embeds, many, most_boxes=101)
    once = qperturb.perturbation(model, image_embeds, [many[0][:1], [], []])
    assert_same_formula(found.matrices[0], once.matrices[0])


def test_rounding_beyond_the_image_is_forgiven(model: Any, image_embeds: Tensor) -> None:
    whole = [[[0.0, 0.0, 1.0, 1.0]]] * 3
    over = [[[-1e-7, 0.0, 1 + 1e-6, 1.0]]] * 3
    found, expected = (qperturb.perturbation(model, image_embeds, each) for each in (over, whole))
    assert torch.equal(found.matrices[0], expected.matrices[0])


@pytest.mark.parametrize(
    ("embeds", "message"),
    [
        (torch.zeros(3, 17), rf"shape \[3, 17\]; give .* \[images, tokens, {WIDTH}\]"),
        (torch.zeros(3, 17, HIDDEN), rf"shape \[3, 17, {HIDDEN}\]"),
        (torch.full((3, 17, WIDTH), float("nan")), "NaN or infinity"),
    ],
)
def test_vision_outputs_that_cannot_be(model: Any, embeds: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        qperturb.perturbation(model, embeds, BOXES)
