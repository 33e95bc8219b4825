"""From boxes of an original image to boxes of what the model sees of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank.errors import InputError
from crossrank_qperturb.boxes import checked_boxes

Pair: TypeAlias = tuple[float, float]

_COLOURS = {
    "ConvertImageDtype",
    "MaybeConvertMode",
    "MaybeToTensor",
    "Normalize",
    "PILToTensor",
    "ToDtype",
    "ToImage",
    "ToTensor",
    "function",
}
"""Steps of a torchvision pipeline that move no pixel."""


@dataclass(frozen=True, slots=True)
class _Canvas:
    """A picture on its way to the model: its size, and where its content went.

    A point (x, y) in [0, 1] of the original lies at ``scale · point + offset`` pixels.
    """

    size: Pair
    scale: Pair
    offset: Pair = (0.0, 0.0)

    def resized(self, size: Pair) -> _Canvas:
        x, y = size[0] / self.size[0], size[1] / self.size[1]
        return _Canvas(
            size,
            (self.scale[0] * x, self.scale[1] * y),
            (self.offset[0] * x, self.offset[1] * y),
        )

    def moved(self, left: float, top: float, size: Pair) -> _Canvas:
        """Cut out, or pad to, a size; `left` and `top` are what is cut, negative for padding."""
        return _Canvas(size, self.scale, (self.offset[0] - left, self.offset[1] - top))


def boxes_to_input(
    boxes: ArrayLike, size: tuple[int, int], processor: Any = None
) -> NDArray[np.float64]:
    """Return where boxes of an original image lie in the model's input.

    Parameters
    ----------
    boxes
        ``[n, 4]`` x0, y0, x1, y1 in [0, 1] of the original image.
    size
        Its width and height in pixels.
    processor
        What makes the input: an image processor of transformers (or a processor that has one), a
        LAVIS processor or any torchvision pipeline of ``Resize`` and ``CenterCrop``.  None means
        that pictures are squashed to the input, as BLIP-2's are.

    Returns
    -------
    NDArray
        ``[n, 4]`` in [0, 1] of the input.  What a crop cuts away is cut away; a box that it leaves
        out altogether has no area.

    Raises
    ------
    InputError
        For boxes that cannot be used, and for a step of the processor that is not understood.
    """
    (corners,) = checked_boxes([boxes], 1, most=np.iinfo(np.int64).max)
    width, height = size
    if width < 1 or height < 1:
        raise InputError(f"boxes_to_input: the image has size {size}; give width and height")
    canvas = _Canvas((width, height), (width, height))
    for step in _steps(processor):
        canvas = step(canvas)
    scale, offset = np.tile(canvas.scale, 2), np.tile(canvas.offset, 2)
    placed: NDArray[np.float64] = (corners * scale + offset) / np.tile(canvas.size, 2)
    return np.clip(placed, 0.0, 1.0)


_Step: TypeAlias = Callable[[_Canvas], _Canvas]


def _steps(processor: Any) -> list[_Step]:
    if processor is None:
        return []
    processor = getattr(processor, "image_processor", processor)
    pipeline = getattr(getattr(processor, "transform", processor), "transforms", None)
    if pipeline is not None:
        return [step for each in pipeline if (step := _of_torchvision(each)) is not None]
    if hasattr(processor, "do_resize"):
        return _of_transformers(processor)
    raise InputError(
        f"boxes_to_input: cannot tell what a {type(processor).__name__} does to a picture; give an "
        "image processor of transformers, a torchvision pipeline, or None for squashing"
    )


def _of_transformers(processor: Any) -> list[_Step]:
    """Read an image processor: it resizes, then crops the middle, then pads right and below."""
    steps: list[_Step] = []
    if processor.do_resize:
        wanted = _sizes(processor.size)
        steps.append(lambda canvas: canvas.resized(_new_size(canvas.size, wanted)))
    if getattr(processor, "do_center_crop", False):
        crop = _sizes(processor.crop_size)
        steps.append(lambda canvas: _cropped(canvas, (crop["width"], crop["height"])))
    if getattr(processor, "do_pad", False):
        pad = _sizes(getattr(processor, "pad_size", None))
        if not {"height", "width"} <= set(pad):
            raise InputError(
                f"boxes_to_input: a {type(processor).__name__} that pads without a pad_size makes "
                "inputs of any size; give it a pad_size"
            )
        steps.append(lambda canvas: canvas.moved(0.0, 0.0, (pad["width"], pad["height"])))
    return steps


def _sizes(size: Any) -> dict[str, int]:
    """Read a size of transformers, which is a mapping, or an object that acts like one."""
    given = {} if size is None else dict(size if isinstance(size, Mapping) else vars(size))
    return {name: int(value) for name, value in given.items() if value is not None}


def _new_size(size: Pair, wanted: Mapping[str, int]) -> Pair:
    """Return width and height after resizing as transformers does."""
    width, height = size
    if {"height", "width"} <= set(wanted):
        return wanted["width"], wanted["height"]
    if {"max_height", "max_width"} <= set(wanted):
        ratio = min(wanted["max_width"] / width, wanted["max_height"] / height)
        return int(width * ratio), int(height * ratio)
    if "shortest_edge" in wanted:
        ratio = wanted["shortest_edge"] / min(size)
        if "longest_edge" in wanted:
            ratio = min(ratio, wanted["longest_edge"] / max(size))
        return int(width * ratio), int(height * ratio)
    raise InputError(
        f"boxes_to_input: cannot resize to {dict(wanted)}; known are height and width, max_height "
        "and max_width, shortest_edge, and shortest_edge with longest_edge"
    )


def _of_torchvision(step: Any) -> _Step | None:
    """Read one step of a torchvision pipeline; None for one that moves no pixel."""
    name = type(step).__name__
    if name == "Resize" and getattr(step, "max_size", None) is None:
        edge = _edge(step.size)
        if edge is not None:
            return lambda canvas: canvas.resized(_new_size(canvas.size, {"shortest_edge": edge}))
        height, width = step.size
        return lambda canvas: canvas.resized((width, height))
    if name == "CenterCrop":
        side = _edge(step.size)
        height, width = (side, side) if side is not None else step.size
        return lambda canvas: _cropped(canvas, (width, height))
    if name in _COLOURS:
        return None
    raise InputError(
        f"boxes_to_input: cannot tell what the step {name} does to a picture; known are Resize and "
        "CenterCrop"
    )


def _edge(size: int | Sequence[int]) -> int | None:
    """Return the length of the shorter edge, where one number is given."""
    if isinstance(size, int):
        return size
    return size[0] if len(size) == 1 else None


def _cropped(canvas: _Canvas, size: Pair) -> _Canvas:
    """Cut out the middle; a crop that is larger than the picture pads it."""
    left, top = (canvas.size[0] - size[0]) // 2, (canvas.size[1] - size[1]) // 2
    return canvas.moved(left, top, size)
