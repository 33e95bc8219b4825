"""What the authors' code computes, transcribed: a mask in pixels, shrunk by torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from crossrank.errors import InputError, ParameterError
from crossrank_qperturb import perturbation
from crossrank_qperturb.coverage import Grid, patch_coverage, reference_coverage
from crossrank_qperturb.settings import Settings
from crossrank_qperturb.subspaces import projectors

SIDE, PATCHES = 364, 26
GRID = Grid(PATCHES, PATCHES, input_size=(SIDE, SIDE))


def drawn(box: list[int], side: int, patches: int) -> NDArray[np.float64]:
    mask = torch.zeros(1, 1, side, side)
    left, top, right, bottom = box
    mask[:, :, top:bottom, left:right] = 1
    small = functional.interpolate(mask, (patches, patches), mode="bilinear", align_corners=False)
    found: NDArray[np.float64] = small.flatten().double().numpy()
    return found


corner = st.integers(0, SIDE)


@given(st.tuples(corner, corner, corner, corner))
def test_it_is_the_mask_that_torch_shrinks(corners: tuple[int, int, int, int]) -> None:
    a, b, c, d = corners
    box = [min(a, c), min(b, d), max(a, c), max(b, d)]
    # as the boxes of a collection are kept, in float32
    relative = (np.array([box]) / SIDE).astype(np.float32)
    found = reference_coverage(relative, GRID)[0]
    np.testing.assert_allclose(found, drawn(box, SIDE, PATCHES), atol=1e-6)


@pytest.mark.parametrize(("side", "patches"), [(32, 4), (30, 4), (224, 16), (9, 9)])
def test_other_sizes(side: int, patches: int) -> None:
    box = [side // 5, side // 3, side // 2, side - 1]
    grid = Grid(patches, patches, input_size=(side, side))
    found = reference_coverage([np.array(box) / side], grid)[0]
    np.testing.assert_allclose(found, drawn(box, side, patches), atol=1e-6)


def test_corners_are_cut_to_whole_pixels() -> None:
    found = reference_coverage([np.array([10.9, 20.2, 99.99, 140.5]) / SIDE], GRID)
    np.testing.assert_array_equal(
        found, reference_coverage([np.array([10, 20, 99, 140]) / SIDE], GRID)
    )
    apart = np.abs(found - patch_coverage([np.array([10.9, 20.2, 99.99, 140.5]) / SIDE], GRID))
    assert apart.max() > 0.1


def test_keys_without_weight_change_rounding_alone() -> None:
    keys, weights = torch.randn(3, 40, 8).double(), torch.rand(2, 40).double()
    weights[:, 10:] = 0
    for n_pc in (0.9, 3):
        torch.testing.assert_close(
            projectors(keys, weights, n_pc, every_key=True), projectors(keys, weights, n_pc)
        )


def test_a_model_that_does_not_tell_its_size() -> None:
    with pytest.raises(InputError, match="does not tell how large its input is"):
        reference_coverage([[0, 0, 1, 1]], Grid(2, 2))


def test_another_word() -> None:
    with pytest.raises(ParameterError, match="coverage is 'areas'"):
        Settings(coverage="areas")
    with pytest.raises(ParameterError, match="coverage"):
        perturbation(object(), torch.zeros(1, 1, 1), [], coverage="")
