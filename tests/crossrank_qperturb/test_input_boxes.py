"""Boxes follow the picture: held against what the image processors do to a marked rectangle."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from transformers import BlipImageProcessorPil, CLIPImageProcessorPil

from crossrank.errors import InputError
from crossrank_qperturb import boxes_to_input


class Resize:
    """As torchvision's: what it does is written in its attributes."""

    def __init__(self, size: Any, max_size: int | None = None) -> None:
        self.size, self.max_size = size, max_size


class CenterCrop:
    def __init__(self, size: Any) -> None:
        self.size = size


class ToTensor:
    pass


class RandomRotation:
    pass


def compose(*steps: Any) -> Any:
    return SimpleNamespace(transforms=list(steps))


SQUASH = BlipImageProcessorPil(size={"height": 96, "width": 96})
CROP = CLIPImageProcessorPil(
    size={"shortest_edge": 96}, crop_size={"height": 96, "width": 96}, resample=0
)
WIDE = CLIPImageProcessorPil(
    size={"shortest_edge": 60}, crop_size={"height": 96, "width": 120}, resample=0
)
FIT = CLIPImageProcessorPil(
    size={"shortest_edge": 200, "longest_edge": 96},
    do_center_crop=False,
    do_pad=True,
    pad_size={"height": 96, "width": 96},
    resample=0,
)


def found_in(pixels: NDArray[Any]) -> list[float]:
    """Return the box of what is bright, in parts of a picture ``[3, height, width]``."""
    bright = pixels.mean(axis=0) > pixels.max() / 2
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    height, width = bright.shape
    return [
        columns[0] / width,
        rows[0] / height,
        (columns[-1] + 1) / width,
        (rows[-1] + 1) / height,
    ]


@pytest.mark.parametrize(
    "processor", [SQUASH, CROP, WIDE, FIT], ids=["squash", "crop", "wide", "fit"]
)
@pytest.mark.parametrize("size", [(240, 160), (160, 240), (200, 200), (301, 97)])
def test_boxes_lie_where_the_processor_puts_the_object(
    processor: Any, size: tuple[int, int]
) -> None:
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    corners = (int(width * 0.4), int(height * 0.3), int(width * 0.55), int(height * 0.6))
    picture[corners[1] : corners[3], corners[0] : corners[2]] = 255
    plain = {"do_normalize": False, "do_rescale": False}
    pixels = processor(Image.fromarray(picture), return_tensors="np", **plain)["pixel_values"][0]
    box = np.array([corners]) / np.tile(size, 2)
    found = boxes_to_input(box, size, processor)
    np.testing.assert_allclose(found[0], found_in(pixels), atol=1.5 / 96)


def test_what_a_crop_cuts_away() -> None:
    boxes = [[0.0, 0.0, 1.0, 1.0], [0.0, 0.2, 0.1, 0.4], [0.1, 0.25, 0.5, 0.75]]
    found = boxes_to_input(boxes, (200, 100), CROP)
    np.testing.assert_allclose(found[0], [0, 0, 1, 1])
    assert found[1, 0] == found[1, 2] == 0.0, "a box out of sight has no area"
    np.testing.assert_allclose(found[2], [0, 0.25, 0.5, 0.75])


def test_a_crop_larger_than_the_picture_pads_it() -> None:
    found = boxes_to_input([[0.0, 0.0, 1.0, 1.0]], (100, 100), compose(Resize(50), CenterCrop(100)))
    np.testing.assert_allclose(found, [[0.25, 0.25, 0.75, 0.75]])


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([Resize((64, 32)), ToTensor()], [0.25, 0.0, 0.5, 1.0]),
        ([Resize([64, 64])], [0.25, 0.0, 0.5, 1.0]),
        ([Resize(64), CenterCrop(64)], [0.0, 0.0, 0.5, 1.0]),
        ([Resize([64]), CenterCrop((32, 64)), ToTensor()], [0.0, 0.0, 0.5, 1.0]),
        ([CenterCrop(100)], [0.0, 0.0, 0.5, 1.0]),
        ([], [0.25, 0.0, 0.5, 1.0]),
    ],
)
def test_torchvision_pipelines(steps: list[Any], expected: list[float]) -> None:
    for processor in (compose(*steps), SimpleNamespace(transform=compose(*steps))):
        found = boxes_to_input([[0.25, 0.0, 0.5, 1.0]], (200, 100), processor)
        np.testing.assert_allclose(found, [expected], atol=1e-9)


def test_processors_that_hold_an_image_processor() -> None:
    box = [[0.3, 0.1, 0.6, 0.9]]
    held = SimpleNamespace(image_processor=CROP, tokenizer=None)
    found, expected = (boxes_to_input(box, (200, 100), each) for each in (held, CROP))
    np.testing.assert_array_equal(found, expected)


@given(st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), max_size=5))
def test_squashing_changes_no_box(corners: list[Any]) -> None:
    boxes = [[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in corners]
    for processor in (None, SQUASH):
        found = boxes_to_input(boxes, (640, 427), processor)
        assert found.shape == (len(boxes), 4)
        np.testing.assert_allclose(found, np.reshape(boxes, (-1, 4)), atol=1e-9)


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        (compose(Resize(64), RandomRotation()), "what the step RandomRotation does"),
        (compose(Resize(64, max_size=99)), "what the step Resize does"),
        (object(), "what a object does to a picture"),
        (CLIPImageProcessorPil(size={"longest_edge": 64}), "cannot resize to {'longest_edge': 64}"),
        (CLIPImageProcessorPil(do_center_crop=False, do_pad=True), "give it a pad_size"),
    ],
)
def test_steps_that_are_not_understood(processor: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        boxes_to_input([[0.0, 0.0, 1.0, 1.0]], (200, 100), processor)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="divide by its width and height"):
        boxes_to_input([[0, 0, 50, 50]], (200, 100))
    with pytest.raises(InputError, match="give width and height"):
        boxes_to_input([[0, 0, 1, 1]], (0, 100))
