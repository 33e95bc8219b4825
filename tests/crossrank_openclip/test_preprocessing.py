"""The model's input, pixel by pixel against open_clip's transform; where it lies, by colours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import ParameterError
from crossrank_openclip import OpenClipEncoder, open_clip
from crossrank_openclip.preprocessing import RESIZE_MODES, Preprocessing
from toys import tiny_openclip
from toys.tiny_openclip import LOOK, needs_open_clip

SHAPES = [(640, 480), (333, 500), (500, 500), (97, 211), (40, 30), (400, 60)]


def noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def position_picture(width: int, height: int) -> Image.Image:
    """Red grows from 0 to 255 from left to right, green from top to bottom."""
    x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    red, green = np.meshgrid(x * 255, y * 255)
    return Image.fromarray(np.stack([red, green, 0 * red], axis=2).round().astype(np.uint8))


@needs_open_clip
@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("size", [(32, 32), (24, 40), (33, 33), (48, 16)], ids=str)
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_the_input_is_open_clips(mode: str, size: tuple[int, int], interpolation: str) -> None:
    rng = np.random.default_rng([*size, RESIZE_MODES.index(mode)])
    for fill in (0, 7):
        for width, height in [(1, 1), (90, 1), (32, 32), *rng.integers(1, 90, (12, 2)).tolist()]:
            check_input(width, height, size, mode, interpolation, fill)


def check_input(
    width: int, height: int, size: tuple[int, int], mode: str, interpolation: str, fill: int
) -> None:
    look = {**LOOK, "interpolation": interpolation, "resize_mode": mode, "fill_color": fill}
    picture = noise(width, height)
    mine = Preprocessing.of(size, look)
    transform = open_clip().image_transform(
        size if size[0] != size[1] else size[0],
        is_train=False,
        mean=tuple(LOOK["mean"]),
        std=tuple(LOOK["std"]),
        resize_mode=mode,
        interpolation=interpolation,
        fill_color=fill,
    )
    try:
        expected = transform(picture)
    except ValueError:  # theirs rounds the short side of a flat picture to 0
        assert min(mine.resized(width, height)) >= 1
        return
    np.testing.assert_allclose(mine.apply(picture), expected, atol=1e-6)


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", [(64, 64), (48, 80)], ids=str)
def test_the_window_tells_what_is_seen(
    mode: str, shape: tuple[int, int], size: tuple[int, int]
) -> None:
    look = {"mean": 0.0, "std": 1.0, "interpolation": "bilinear", "resize_mode": mode}
    preparing = Preprocessing.of(size, look)
    seen = preparing.apply(position_picture(*shape))
    x0, y0, x1, y1 = preparing.window(*shape)
    high, wide = size
    columns = x0 + (np.arange(wide) + 0.5) / wide * (x1 - x0)
    rows = y0 + (np.arange(high) + 0.5) / high * (y1 - y0)
    inside = np.ix_((rows > 0.02) & (rows < 0.98), (columns > 0.02) & (columns < 0.98))
    expected_red, expected_green = np.meshgrid(columns, rows)
    np.testing.assert_allclose(seen[0][inside], expected_red[inside], atol=0.02)
    np.testing.assert_allclose(seen[1][inside], expected_green[inside], atol=0.02)


@needs_open_clip
@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("kind", ["vit", "resnet", "fastvit", "siglip"])
def test_boxes_lie_where_their_patch_looks(kind: str, mode: str, tmp_path: Path) -> None:
    folder = tiny_openclip.build(kind, tmp_path / kind, resize_mode=mode)
    encoder = OpenClipEncoder(model=f"local-dir:{folder}")
    for width, height in SHAPES:
        picture = position_picture(width, height)
        item = cr.Item("0", image=picture)
        found: Any = encoder.encode_batch([item], "image", ("token_boxes", "boxes", "tokens"))
        boxes = found["token_boxes"][0]
        np.testing.assert_array_equal(found["boxes"].flat, found["token_boxes"].flat)
        assert len(boxes) == len(found["tokens"][0])
        assert boxes.min() >= 0 and boxes.max() <= 1
        preparing = encoder._loaded().preprocessing
        mean, std = np.array(LOOK["mean"]), np.array(LOOK["std"])
        input = preparing.apply(picture) * std[:, None, None] + mean[:, None, None]
        side = round(len(boxes) ** 0.5)
        cell = input.shape[1] // side if kind != "vit" else 8
        for row in range(side):
            for column in range(side):
                x0, y0, x1, y1 = boxes[row * side + column]
                if x1 - x0 < 1e-6 or y1 - y0 < 1e-6 or {x0, y0} & {0.0} or {x1, y1} & {1.0}:
                    continue  # in the padding, or clipped at the edge
                shown = input[
                    :2, row * cell : row * cell + cell, column * cell : column * cell + cell
                ]
                centre = ((x0 + x1) / 2, (y0 + y1) / 2)
                np.testing.assert_allclose(shown.mean(axis=(1, 2)), centre, atol=0.02)


@needs_open_clip
def test_a_very_long_picture_is_cut_before_it_is_resized(
    encoder: Callable[[str], OpenClipEncoder],
) -> None:
    preparing = encoder("vit")._loaded().preprocessing
    short, frame = preparing.shorten(Image.new("RGB", (5000, 1)))
    assert short.size == (8, 1)
    assert frame == (2496 / 5000, 0.0, 2504 / 5000, 1.0)
    picture = position_picture(900, 60)
    item = cr.Item("0", image=picture)
    found: Any = encoder("vit").encode_batch([item], "image", ("token_boxes",))
    whole = preparing.apply(picture)
    cut = preparing.apply(preparing.shorten(picture)[0])
    np.testing.assert_allclose(whole, cut, atol=0.06)
    middle = found["token_boxes"][0][:, [0, 2]].mean()
    assert middle == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"mean": [0, 0, 0]}, "needs mean and std"),
        ({"mean": [0, 0], "std": [1, 1, 1]}, "three numbers"),
        ({"mean": "grey", "std": [1, 1, 1]}, "three numbers"),
        ({"mean": 0, "std": [1, 0, 1]}, "three positive numbers"),
        ({"mean": 0, "std": 1, "resize_mode": "crop"}, "one of shortest, longest, squash"),
        ({"mean": 0, "std": 1, "interpolation": "lanczos"}, "one of bicubic, bilinear"),
    ],
)
def test_a_preparation_that_is_not_one(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        Preprocessing.of(32, values)
