"""Boxes of image tokens: a bright spot in the picture moves the token that lies there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import crossrank as cr
from crossrank_multivector import MultiVectorEncoder
from crossrank_multivector.boxes import grid, tiled
from crossrank_multivector.checkpoint import load_checkpoint
from crossrank_multivector.reading import read_picture
from toys.tiny_colvision import settings_of


def test_a_grid_and_tiles() -> None:
    np.testing.assert_allclose(grid(1, 2), [[0, 0, 0.5, 1], [0.5, 0, 1, 1]])
    boxes = tiled(1, 2, 2)
    assert boxes.shape == (12, 4)
    np.testing.assert_allclose(boxes[0], [0, 0, 0.25, 0.5])
    np.testing.assert_allclose(boxes[4], [0.5, 0, 0.75, 0.5])  # the second tile's first
    np.testing.assert_allclose(boxes[7], [0.75, 0.5, 1, 1])
    np.testing.assert_allclose(boxes[8], [0, 0, 0.5, 0.5])  # the whole
    np.testing.assert_allclose(tiled(0, 0, 2), grid(2, 2))


@pytest.mark.parametrize("place", [(0.1, 0.1), (0.9, 0.2), (0.4, 0.9), (0.6, 0.55)])
def test_the_pixels_of_a_place_reach_the_token_whose_box_has_it(
    checkpoint: Path, place: tuple[float, float]
) -> None:
    """What the vision tower is given there changes with the picture there, and nowhere else."""
    from crossrank_multivector.parameters import MultiVectorParameters

    loaded = load_checkpoint(MultiVectorParameters(model=checkpoint))
    family = settings_of(checkpoint)["model_type"]
    dark = np.zeros((96, 144, 3), np.uint8)
    lit = dark.copy()
    x, y = int(place[0] * 144), int(place[1] * 96)
    lit[y - 1 : y + 2, x - 1 : x + 2] = 255
    reads = [read_picture(loaded, Image.fromarray(each)) for each in (dark, lit)]
    features = []
    for read in reads:
        inputs = read.inputs
        with torch.inference_mode():
            if family == "colqwen2":
                pixels = inputs["pixel_values"][0]
                count = int(inputs["image_grid_thw"].prod())
                blocks = pixels[:count].reshape(count // 4, -1)
                features.append(blocks)
            else:  # the patches, before any of them looks at another
                values = inputs["pixel_values"].reshape(-1, 3, *inputs["pixel_values"].shape[-2:])
                side = round(int(read.roles.sum() // len(values)) ** 0.5)
                size = values.shape[-1] // side
                cells = values.unfold(2, size, size).unfold(3, size, size)
                features.append(cells.permute(0, 2, 3, 1, 4, 5).reshape(int(read.roles.sum()), -1))
    changed = (features[0] - features[1]).abs().amax(dim=1).numpy()
    boxes = reads[0].boxes
    assert boxes is not None
    own = boxes[reads[0].roles.astype(bool)]
    best = own[int(changed.argmax())]
    assert best[0] - 0.03 <= place[0] <= best[2] + 0.03
    assert best[1] - 0.03 <= place[1] <= best[3] + 0.03
    far = (own[:, 2] < place[0] - 0.1) | (own[:, 0] > place[0] + 0.1)
    far |= (own[:, 3] < place[1] - 0.1) | (own[:, 1] > place[1] + 0.1)
    assert changed[far].max() < 0.2 * changed.max()


def test_a_heat_map_of_tiles_is_that_of_the_finest_boxes() -> None:
    from crossrank.report import word_maps

    boxes = tiled(2, 2, 2)
    patches = np.arange(20, dtype=np.float32)[:, None]
    maps = word_maps(np.ones((1, 1), np.float32), patches, boxes)
    assert maps.values.shape == (1, 4, 4)
    np.testing.assert_array_equal(maps.values[0, 0], [0, 1, 4, 5])
    assert np.isfinite(maps.values).all()


def test_tiles_of_a_long_picture(checkpoint: Path) -> None:
    if settings_of(checkpoint)["model_type"] != "colmodernvbert":
        pytest.skip("has no tiles")
    picture = Image.new("RGB", (100, 30), (200, 10, 10))
    made = MultiVectorEncoder(model=checkpoint).encode_batch(
        [cr.Item(image=picture)], "image", ["token_boxes", "token_roles"]
    )
    own = made["token_boxes"][0][np.flatnonzero(made["token_roles"][0])]
    assert len(own) == (3 * 1 + 1) * 4
    assert {round(float(box[2] - box[0]), 3) for box in own} == {0.167, 0.5}
