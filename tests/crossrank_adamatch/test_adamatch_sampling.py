"""Boxes and samples: naive loops, torch's own sampler, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrank.errors import InputError
from crossrank_adamatch import patch_boxes, sample
from toys.adamatch import naive_boxes, naive_sample
from toys.rounding import assert_same_formula

SIDES = st.integers(1, 5)


@given(height=SIDES, width=SIDES, seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_boxes_are_those_of_a_naive_loop_and_lie_in_the_picture(
    height: int, width: int, seed: int
) -> None:
    offsets = 2 * np.random.default_rng(seed).normal(size=(height * width, 4))
    found = patch_boxes(torch.from_numpy(offsets), height, width)
    assert_same_formula(found, naive_boxes(offsets, height, width))
    assert found.min() >= 0 and found.max() <= 1
    assert (found[:, :2] <= found[:, 2:]).all()


def test_the_initial_bias_gives_a_box_of_half_the_cell() -> None:
    offsets = torch.tensor([0.0, 0.0, np.log(5 / 3) / 2, np.log(5 / 3) / 2], dtype=torch.float64)
    (box,) = patch_boxes(offsets[None], 1, 1).tolist()
    assert box == pytest.approx([0.25, 0.25, 0.75, 0.75])


def test_boxes_of_a_batch_keep_its_shape_and_type() -> None:
    found = patch_boxes(torch.zeros(2, 3, 6, 4, dtype=torch.float32), 2, 3)
    assert found.shape == (2, 3, 6, 4) and found.dtype == torch.float32


@given(height=SIDES, width=SIDES, seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_samples_are_those_of_a_naive_loop(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(2, height, width, 3))
    boxes = rng.uniform(-0.3, 1.3, size=(2, 4, 4))  # some leave the picture
    found = sample(torch.from_numpy(features), torch.from_numpy(boxes))
    expected = [naive_sample(*each) for each in zip(features, boxes, strict=True)]
    assert_same_formula(found, np.array(expected))


def test_samples_are_those_of_grid_sample() -> None:
    rng = torch.Generator().manual_seed(0)
    features = torch.randn(1, 4, 6, 2, dtype=torch.float64, generator=rng)
    box = torch.tensor([[[0.1, 0.2, 0.7, 0.9]]], dtype=torch.float64)
    x = torch.tensor([0.1, 0.4, 0.7], dtype=torch.float64)
    y = torch.tensor([0.2, 0.55, 0.9], dtype=torch.float64)
    grid = torch.stack([x.repeat(3), y.repeat_interleave(3)], dim=-1).view(1, 3, 3, 2)
    expected = torch.nn.functional.grid_sample(
        features.permute(0, 3, 1, 2), 2 * grid - 1, padding_mode="border", align_corners=False
    )
    assert_same_formula(sample(features, box)[0, 0], expected[0].flatten(1).T.contiguous())


def test_a_cells_own_box_has_the_cells_value_in_its_centre() -> None:
    features = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    own = torch.zeros(12, 4, dtype=torch.float64)
    own[:, 2:] = np.arctanh(0.5)
    for offsets in (own, torch.zeros(12, 4, dtype=torch.float64)):
        found = sample(features, patch_boxes(offsets, 3, 4)[None])
        assert_same_formula(found[0, :, 4], features[0].flatten(0, 1))


def test_a_constant_map_gives_the_constant_wherever_the_box_lies() -> None:
    boxes = torch.tensor([[[-1.0, -1.0, 2.0, 2.0], [0.4, 0.4, 0.4, 0.4], [0.0, 0.0, 1.0, 1.0]]])
    found = sample(torch.full((1, 3, 2, 2), 1.5), boxes)
    assert found.shape == (1, 3, 9, 2)
    torch.testing.assert_close(found, torch.full_like(found, 1.5))


def test_gradients_reach_the_map_and_the_offsets() -> None:
    torch.manual_seed(0)
    features = torch.randn(1, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    offsets = (0.1 + 0.3 * torch.rand(1, 9, 4, dtype=torch.float64)).requires_grad_()

    def sampled(map: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
        return sample(map, patch_boxes(moved, 3, 3))

    assert torch.autograd.gradcheck(sampled, (features, offsets))


@pytest.mark.parametrize(
    ("offsets", "height", "width"),
    [
        (torch.zeros(5, 4), 2, 3),
        (torch.zeros(6, 3), 2, 3),
        (torch.zeros(0, 4), 0, 3),
        (torch.zeros(6, 4, dtype=torch.int64), 2, 3),
        (np.zeros((6, 4)), 2, 3),
    ],
)
def test_other_offsets_are_refused(offsets: torch.Tensor, height: int, width: int) -> None:
    with pytest.raises(InputError, match="give"):
        patch_boxes(offsets, height, width)


@pytest.mark.parametrize(
    ("features", "boxes"),
    [
        (torch.zeros(1, 2, 2), torch.zeros(1, 3, 4)),
        (torch.zeros(1, 2, 2, 3), torch.zeros(3, 4)),
        (torch.zeros(2, 2, 2, 3), torch.zeros(1, 3, 4)),
        (torch.zeros(1, 0, 2, 3), torch.zeros(1, 3, 4)),
        (np.zeros((1, 2, 2, 3)), torch.zeros(1, 3, 4)),
    ],
)
def test_other_maps_are_refused(features: torch.Tensor, boxes: torch.Tensor) -> None:
    with pytest.raises(InputError, match="give"):
        sample(features, boxes)
