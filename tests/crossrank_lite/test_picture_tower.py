"""The net, its weights and the preprocessing are right: it knows what is on real photographs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from crossrank_lite.picture_tower import (
    CELLS,
    CHANNELS,
    GRID,
    SIDE,
    PictureTower,
    cell_boxes,
    load_classifier,
    to_pixels,
)

CLASSES = {
    "chelsea": {281, 282, 285},  # tabby, tiger cat, Egyptian cat
    "coffee": {967, 968},  # espresso, cup
    "rocket": {657, 744},  # missile, projectile
    "motorcycle": {665, 670},  # moped, scooter
    "flower": {985},  # daisy
}
"""The ImageNet classes that fit each photograph."""


@pytest.fixture(scope="module")
def tower() -> PictureTower:
    return PictureTower()


def as_batch(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(to_pixels(picture)).permute(2, 0, 1)[None]


@torch.inference_mode()
def test_the_classifier_knows_the_photographs(photographs: dict[str, Image.Image]) -> None:
    classifier = load_classifier()
    for name, fitting in CLASSES.items():
        best = int(classifier(as_batch(photographs[name]))[0].argmax())
        assert best in fitting, f"{name} is seen as class {best}"


@torch.inference_mode()
def test_the_grid_is_that_of_the_untouched_net(
    tower: PictureTower, photographs: dict[str, Image.Image]
) -> None:
    whole = load_classifier().extract_features(as_batch(photographs["coffee"]))[0]
    grid = tower.grid(to_pixels(photographs["coffee"])[None])
    assert grid.shape == (1, CELLS, CHANNELS)
    expected = whole.permute(1, 2, 0).reshape(CELLS, CHANNELS).numpy()
    np.testing.assert_allclose(grid[0], expected, atol=1e-4)


def test_pixels_are_scaled_as_the_lite_family_was_trained() -> None:
    grey = to_pixels(Image.new("RGB", (31, 57), (127, 255, 0)))
    assert grey.shape == (SIDE, SIDE, 3)
    assert grey.dtype == np.float32
    np.testing.assert_array_equal(grey[0, 0], np.array([0, 1, -127 / 128], np.float32))


def test_a_part_of_the_picture_can_be_taken() -> None:
    halves = Image.new("RGB", (40, 20), "black")
    halves.paste("white", (20, 0, 40, 20))
    assert (to_pixels(halves, (20, 0, 40, 20))[:, SIDE // 8 :] == 1).all()
    assert (to_pixels(halves)[:, : SIDE // 4] < 0).all()


def test_boxes_tile_the_picture_row_by_row() -> None:
    boxes = cell_boxes()
    assert boxes.shape == (CELLS, 4)
    np.testing.assert_allclose(boxes[0], [0, 0, 1 / GRID, 1 / GRID], rtol=1e-6)
    np.testing.assert_allclose(boxes[1], [1 / GRID, 0, 2 / GRID, 1 / GRID], rtol=1e-6)
    np.testing.assert_allclose(boxes[-1], [1 - 1 / GRID, 1 - 1 / GRID, 1, 1], rtol=1e-6)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    assert areas.sum() == pytest.approx(1)


def test_cells_lie_where_the_boxes_say(tower: PictureTower) -> None:
    """A patch of noise changes the cells around it most."""
    empty = Image.new("RGB", (SIDE, SIDE), (100, 100, 100))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    centres = (cell_boxes()[:, :2] + cell_boxes()[:, 2:]) / 2
    for x, y in ((32, 64), (192, 64), (64, 192), (192, 160)):
        marked = empty.copy()
        marked.paste(Image.fromarray(noise), (x, y))
        grids = tower.grid(np.stack([to_pixels(empty), to_pixels(marked)]))
        change = np.linalg.norm(grids[1] - grids[0], axis=1) ** 2
        middle = change @ centres / change.sum()
        expected = (np.array([x, y]) + 32) / SIDE
        assert np.abs(middle - expected).max() < 1 / GRID, (x, y, middle, expected)
