"""Windows: naive loops, boxes that bound their cells, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrank.errors import InputError
from crossrank_adamatch import window_boxes, windows
from crossrank_adamatch.patches import distinct
from toys.adamatch import cell_boxes, naive_windows, unit
from toys.rounding import assert_same_formula, assert_same_sums

SIDES = st.integers(1, 6)


@given(height=SIDES, width=SIDES, seed=st.integers(0, 99), data=st.data())
@settings(max_examples=40, deadline=None)
def test_windows_are_those_of_a_naive_loop(
    height: int, width: int, seed: int, data: st.DataObject
) -> None:
    sizes = data.draw(st.lists(st.integers(1, min(height, width)), min_size=1, max_size=3))
    tokens = unit(np.random.default_rng(seed).normal(size=(height * width, 4)))
    expected = naive_windows(tokens, height, width, sizes)
    assert_same_formula(windows(tokens, height, width, sizes), expected)


def test_windows_of_float32_are_unit_rows_of_float32() -> None:
    tokens = unit(np.random.default_rng(0).normal(size=(81, 32)))
    found = windows(tokens.astype(np.float32), 9, 9, [1, 2, 9])
    assert found.shape == (81 + 64 + 1, 32) and found.dtype == np.float32
    means = naive_windows(tokens.astype(np.float32), 9, 9, [1, 2, 9])
    # a sum of 81 unit rows, divided by its length, which is above a tenth of a row's
    assert_same_sums(found, means, 81 + 40, 10.0)
    assert_same_sums(np.linalg.norm(found, axis=1), np.ones(len(found)), 40, 1.0)


def test_the_input_stays_and_a_vanishing_mean_is_zero() -> None:
    tokens = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    before = tokens.copy()
    assert windows(tokens, 2, 2, [2]).tolist() == [[0.0, 0.0]]
    assert (tokens == before).all()
    assert np.isnan(windows(np.full((4, 2), np.nan), 2, 2, [2])).all()


@given(height=SIDES, width=SIDES, data=st.data())
@settings(max_examples=20, deadline=None)
def test_a_windows_box_bounds_its_cells(height: int, width: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, min(height, width)))
    boxes = cell_boxes(height, width)
    found = window_boxes(boxes, height, width, [size])
    expected = [
        [boxes[r * width + c, 0], boxes[r * width + c, 1], *boxes[last, 2:]]
        for r in range(height - size + 1)
        for c in range(width - size + 1)
        for last in [(r + size - 1) * width + c + size - 1]
    ]
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


@pytest.mark.parametrize(
    ("shape", "height", "width", "sizes"),
    [
        ((6, 2), 2, 3, [3]),
        ((6, 2), 2, 3, [1, 4]),
        ((6, 2), 2, 3, []),
        ((6, 2), 2, 3, [0]),
        ((6, 2), 2, 3, [1.5]),
        ((6, 2), 2, 3, 2),
        ((5, 2), 2, 3, [1]),
        ((6,), 2, 3, [1]),
        ((0, 2), 0, 3, [1]),
    ],
)
def test_what_cannot_be_windowed_is_refused(
    shape: tuple[int, ...], height: int, width: int, sizes: Any
) -> None:
    with pytest.raises(InputError, match=r"give|leave"):
        windows(np.ones(shape, np.float32), height, width, sizes)


def test_boxes_of_another_grid_are_refused() -> None:
    with pytest.raises(InputError, match=r"\[6, 4\]"):
        window_boxes(np.ones((5, 4)), 2, 3, [1])


def test_near_equal_patches_go_and_the_earlier_one_stays() -> None:
    rows = unit(np.array([[1.0, 0], [1.0, 0.1], [0, 1.0], [1.0, 0.3], [1.0, 0]]))
    assert distinct(rows, 0.99).tolist() == [True, False, True, True, False]
    assert distinct(rows, 1.5).all()
    assert distinct(rows, -1).tolist() == [True, False, False, False, False]
