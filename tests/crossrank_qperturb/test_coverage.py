"""Coverage is exact: held against thin strips, against areas, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossrank_qperturb.coverage import Grid, patch_coverage

unit = st.floats(0.0, 1.0, width=32)
sides = st.integers(1, 9)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    x0, x1 = sorted((draw(unit), draw(unit)))
    y0, y1 = sorted((draw(unit), draw(unit)))
    return x0, y0, x1, y1


@given(boxes(), sides, sides)
def test_coverage_times_patch_area_is_the_area_of_the_box(
    box: tuple[float, float, float, float], rows: int, columns: int
) -> None:
    covered = patch_coverage([box], Grid(rows, columns))[0]
    assert covered.shape == (rows * columns,)
    assert ((covered >= 0) & (covered <= 1)).all()
    area = (box[2] - box[0]) * (box[3] - box[1])
    assert covered.sum() / (rows * columns) == pytest.approx(area, abs=1e-12)


@given(boxes(), sides, sides, st.floats(0.5, 1.0), st.floats(0.5, 1.0))
def test_a_rim_without_patches_covers_nothing(
    box: tuple[float, float, float, float], rows: int, columns: int, wide: float, high: float
) -> None:
    covered = patch_coverage([box], Grid(rows, columns, (wide, high)))[0]
    inside = max(min(box[2], wide) - box[0], 0) * max(min(box[3], high) - box[1], 0)
    patch = wide * high / (rows * columns)
    assert covered.sum() * patch == pytest.approx(inside, abs=1e-9)


def test_coverage_by_hand() -> None:
    found = patch_coverage([[0.25, 0.5, 0.75, 1.0], [0.5, 0.0, 0.5, 1.0]], Grid(2, 2))
    np.testing.assert_allclose(found, [[0.0, 0.0, 0.5, 0.5], [0.0] * 4])


def test_patches_run_row_by_row() -> None:
    found = patch_coverage([[0.0, 0.0, 1.0, 1 / 3], [2 / 3, 0.0, 1.0, 1.0]], Grid(3, 3))
    np.testing.assert_allclose(
        found[0].reshape(3, 3), np.diag([1.0, 0.0, 0.0]) @ np.ones((3, 3)), atol=1e-9
    )
    np.testing.assert_allclose(
        found[1].reshape(3, 3), np.ones((3, 3)) @ np.diag([0.0, 0.0, 1.0]), atol=1e-9
    )


def test_coverage_is_what_counting_points_finds() -> None:
    rng = np.random.default_rng(0)
    points = (np.arange(600) + 0.5) / 600
    for _ in range(20):
        (x0, x1), (y0, y1) = np.sort(rng.random((2, 2)))
        inside = ((points >= y0) & (points < y1))[:, None] & ((points >= x0) & (points < x1))
        counted = inside.reshape(3, 200, 5, 120).mean(axis=(1, 3))
        found = patch_coverage([[x0, y0, x1, y1]], Grid(3, 5))
        np.testing.assert_allclose(found[0].reshape(3, 5), counted, atol=0.02)


def test_no_boxes() -> None:
    assert patch_coverage(np.zeros((0, 4)), Grid(2, 3)).shape == (0, 6)
