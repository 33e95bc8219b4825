from __future__ import annotations

import math
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from crossrank.report._heat import ANCHORS, colours, gradient, to_png, word_maps
from toys.basic import unit


def grid(columns: int, rows: int) -> NDArray[np.float32]:
    return np.array(
        [
            [x / columns, y / rows, (x + 1) / columns, (y + 1) / rows]
            for y in range(rows)
            for x in range(columns)
        ],
        np.float32,
    )


def test_maps_are_the_cosines_where_the_patches_lie() -> None:
    rng = np.random.default_rng(0)
    words, patches = unit(rng.normal(size=(3, 5))), unit(rng.normal(size=(8, 5)))
    maps = word_maps(words, patches, grid(4, 2))
    assert maps.values.shape == (3, 2, 4)
    assert maps.extent == (0, 0, 1, 1)
    for word in range(3):
        for patch in range(8):
            cosine = math.fsum(
                float(a) * float(b) for a, b in zip(words[word], patches[patch], strict=True)
            )
            assert maps.values[word, patch // 4, patch % 4] == pytest.approx(cosine, abs=1e-12)


def test_the_order_of_the_patches_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    words, patches, boxes = unit(rng.normal(size=(2, 4))), unit(rng.normal(size=(9, 4))), grid(3, 3)
    order = rng.permutation(9)
    shuffled = word_maps(words, patches[order], boxes[order])
    np.testing.assert_allclose(
        shuffled.values, word_maps(words, patches, boxes).values, rtol=0, atol=1e-12
    )


def test_patches_may_cover_a_part_of_the_picture_and_leave_gaps() -> None:
    boxes = grid(2, 2)[[0, 1, 3]] * 0.5 + 0.25
    maps = word_maps(np.eye(2)[:1], np.array([[1.0, 0], [0, 1], [0.6, 0.8]]), boxes)
    assert maps.extent == (0.25, 0.25, 0.75, 0.75)
    np.testing.assert_allclose(maps.values[0], np.array([[1.0, 0.0], [np.nan, 0.6]]))


def test_colours_run_from_the_first_anchor_to_the_last_and_get_lighter() -> None:
    scale = colours(np.linspace(-1, 1, 200), -1, 1).astype(float)
    assert scale[0, :3].tolist() == ANCHORS[0].tolist()
    assert scale[-1, :3].tolist() == ANCHORS[-1].tolist()
    luminance = scale[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) >= -0.5).all()
    assert (np.diff(scale[:, 3]) >= 0).all()


def test_values_beyond_the_scale_are_clipped_and_gaps_are_transparent() -> None:
    found = colours(np.array([-5.0, 0.0, 1.0, 9.0, np.nan]), 0.0, 1.0)
    assert found[0].tolist() == found[1].tolist()
    assert found[2].tolist() == found[3].tolist()
    assert found[4, 3] == 0


def test_a_scale_without_width_is_the_first_colour() -> None:
    assert colours(np.array([0.5]), 0.5, 0.5)[0, :3].tolist() == ANCHORS[0].tolist()


def test_the_picture_has_one_pixel_per_patch_in_the_scale_s_colours() -> None:
    values = np.array([[0.0, 0.5, 1.0], [0.25, np.nan, 0.75]])
    picture = Image.open(BytesIO(to_png(values, 0.0, 1.0)))
    assert (picture.format, picture.size) == ("PNG", (3, 2))
    np.testing.assert_array_equal(np.asarray(picture)[..., 3], colours(values, 0.0, 1.0)[..., 3])
    seen = ~np.isnan(values)
    np.testing.assert_array_equal(np.asarray(picture)[seen], colours(values, 0.0, 1.0)[seen])


def test_the_legend_names_every_anchor() -> None:
    assert gradient().count("rgb(") == len(ANCHORS)
