"""Where patches lie, read off pictures whose colour says where a pixel is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import crossrank as cr
from crossrank.plugin.parts import grid_boxes
from crossrank_clip.boxes import WHOLE, crops_ends, place, seen_window, shorten
from crossrank_clip.encoder import ClipEncoder
from toys import tiny_clip
from toys.clip_oracle import FAMILIES
from toys.tiny_tokenizers import transformers

Folder = Callable[[str], Path]
Loaded = Callable[[str], ClipEncoder]

SHAPES = [(640, 480), (333, 500), (500, 500), (97, 211), (40, 30), (1000, 130)]


def position_picture(width: int, height: int) -> Image.Image:
    """Red grows from 0 to 255 from left to right, green from top to bottom."""
    x = (np.arange(width) + 0.5) / width
    y = (np.arange(height) + 0.5) / height
    red, green = np.meshgrid(x * 255, y * 255)
    return Image.fromarray(np.stack([red, green, 0 * red], axis=2).round().astype(np.uint8))


def patch_colours(folder: Path, picture: Image.Image) -> NDArray[np.float64]:
    """Return the mean position that each patch of the model's input shows, ``[L, 2]``."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    inputs = processor([picture], return_tensors="np")
    mean, std = np.array(processor.image_mean), np.array(processor.image_std)
    size = tiny_clip.PATCH
    if "spatial_shapes" in inputs:
        used = inputs["pixel_attention_mask"][0].astype(bool)
        cut = inputs["pixel_values"][0][used].reshape(-1, size * size, 3).mean(axis=1)
    else:
        channels = inputs["pixel_values"][0]
        rows, columns = channels.shape[1] // size, channels.shape[2] // size
        grid = channels[:, : rows * size, : columns * size].reshape(3, rows, size, columns, size)
        cut = grid.mean(axis=(2, 4)).reshape(3, -1).T
    positions: NDArray[np.float64] = (cut * std + mean)[:, :2]
    return positions


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_patch_shows_what_lies_in_its_box(
    family: str, shape: tuple[int, int], checkpoint: Folder, encoder: Loaded
) -> None:
    picture = position_picture(*shape)
    item = cr.Item("0", image=picture)
    found: Any = encoder(family).encode_batch([item], "image", ("token_boxes", "tokens", "boxes"))
    boxes = found["token_boxes"][0]
    assert boxes.shape == (len(found["tokens"][0]), 4)
    assert boxes.dtype == np.float32
    np.testing.assert_array_equal(found["boxes"].flat, found["token_boxes"].flat)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    # half a pixel of the small input is 1/64, and colours are rounded
    np.testing.assert_allclose(patch_colours(checkpoint(family), picture), centres, atol=0.02)


def test_a_centre_crop_leaves_the_ends_of_a_wide_picture_out(encoder: Loaded) -> None:
    item = cr.Item("0", image=position_picture(300, 100))
    found: Any = encoder("clip").encode_batch([item], "image", ("token_boxes", "size"))
    boxes = found["token_boxes"][0]
    # resized to 96×32, columns 32 to 64 are kept
    np.testing.assert_allclose(boxes[0], [1 / 3, 0, 5 / 12, 1 / 4], atol=1e-6)
    np.testing.assert_allclose(boxes[-1], [7 / 12, 3 / 4, 2 / 3, 1], atol=1e-6)
    assert found["size"].tolist() == [[300, 100]]


def test_a_patch_size_that_does_not_divide_the_input_leaves_a_margin(encoder: Loaded) -> None:
    item = cr.Item("0", image=position_picture(300, 100))
    found: Any = encoder("siglip").encode_batch([item], "image", ("token_boxes",))
    np.testing.assert_allclose(found["token_boxes"][0][0], [0, 0, 8 / 36, 8 / 36], atol=1e-6)
    assert found["token_boxes"][0].max() == np.float32(32 / 36)


def test_padding_around_a_small_picture_lies_in_no_box(tmp_path: Path) -> None:
    folder = tiny_clip.build("clip", tmp_path / "clip", do_resize=False)
    item = cr.Item("0", image=position_picture(16, 64))
    found: Any = ClipEncoder(model=folder).encode_batch([item], "image", ("token_boxes",))
    grid = found["token_boxes"][0].reshape(4, 4, 4)
    # 8 pixels of padding on either side; of the height the middle half is seen
    np.testing.assert_allclose(grid[0, :, 0], [0, 0, 0.5, 1])
    np.testing.assert_allclose(grid[0, :, 2], [0, 0.5, 1, 1])
    np.testing.assert_allclose(grid[:, 1, 1], [0.25, 0.375, 0.5, 0.625])


def test_a_very_long_picture_is_cut_before_it_is_resized(encoder: Loaded) -> None:
    checkpoint = encoder("clip")._loaded()
    short, frame = shorten(Image.new("RGB", (5000, 1)), crops_ends(checkpoint.image_processor))
    assert short.size == (8, 1)
    assert frame == (2496 / 5000, 0.0, 2504 / 5000, 1.0)
    whole, frame = shorten(Image.new("RGB", (80, 10)), crops_ends(checkpoint.image_processor))
    assert whole.size == (80, 10)
    assert frame == WHOLE


@pytest.mark.parametrize("family", ["siglip", "siglip2", "chinese_clip"])
def test_a_very_long_picture_is_not_cut_where_all_of_it_is_seen(
    family: str, encoder: Loaded
) -> None:
    processor = encoder(family)._loaded().image_processor
    assert shorten(Image.new("RGB", (5000, 1)), crops_ends(processor))[0].size == (5000, 1)


def test_cutting_a_long_picture_does_not_change_what_is_seen(
    checkpoint: Folder, encoder: Loaded
) -> None:
    picture = position_picture(1200, 60)
    item = cr.Item("0", image=picture)
    found: Any = encoder("clip").encode_batch([item], "image", ("token_boxes", "embedding"))
    boxes = found["token_boxes"][0]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    np.testing.assert_allclose(patch_colours(checkpoint("clip"), picture), centres, atol=0.02)
    assert boxes[:, 0].min() == pytest.approx(0.475, abs=1e-3)
    assert boxes[:, 2].max() == pytest.approx(0.525, abs=1e-3)


@given(
    width=st.integers(1, 3000),
    height=st.integers(1, 3000),
    edge=st.integers(8, 400),
    crop=st.integers(8, 400),
)
def test_a_centre_crop_is_central_to_half_a_pixel(
    width: int, height: int, edge: int, crop: int
) -> None:
    processor = SimpleNamespace(
        do_resize=True,
        size={"shortest_edge": edge},
        do_center_crop=True,
        crop_size={"height": crop, "width": crop},
    )
    x0, y0, x1, y1 = seen_window(width, height, processor)
    short = min(width, height)
    wide, high = int(edge * width / short), int(edge * height / short)
    assert (x1 - x0) * wide == pytest.approx(crop)
    assert (y1 - y0) * high == pytest.approx(crop)
    assert abs((x0 + x1) / 2 - 0.5) * wide <= 0.5 + 1e-6
    assert abs((y0 + y1) / 2 - 0.5) * high <= 0.5 + 1e-6


@given(rows=st.integers(1, 30), columns=st.integers(1, 30))
def test_a_grid_covers_its_frame_without_overlap(rows: int, columns: int) -> None:
    boxes = grid_boxes(rows, columns)
    assert boxes.shape == (rows * columns, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    np.testing.assert_allclose(areas, 1 / (rows * columns))
    np.testing.assert_allclose(boxes[0, :2], 0)
    np.testing.assert_allclose(boxes[-1, 2:], 1)
    inside = place(boxes, (0.25, 0.5, 0.75, 1.0))
    np.testing.assert_allclose(inside[0, :2], [0.25, 0.5])
    np.testing.assert_allclose(inside[-1, 2:], [0.75, 1.0])
