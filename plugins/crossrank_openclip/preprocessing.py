"""What a model sees of a picture: resized, cropped or padded, and normalised, as its config says.

The three ways of open_clip: *shortest* makes the short side fit and crops the centre, *longest*
makes the long side fit and pads, *squash* ignores the proportions.  The arithmetic is torchvision's
on PIL images, pixel by pixel; only that it also tells where the window lies, and that no side
becomes 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crossrank.errors import ParameterError
from crossrank.plugin.parameters import check, one_of
from crossrank_clip.boxes import Box, shorten

RESIZE_MODES = ("shortest", "longest", "squash")
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How pictures become a model's input.

    Parameters
    ----------
    size
        Height and width of the input, in pixels.
    mean, std
        Per channel, of values in [0, 1].
    interpolation
        ``"bicubic"`` or ``"bilinear"``.
    resize_mode
        ``"shortest"``, ``"longest"`` or ``"squash"``.
    fill_color
        Of padding, 0 to 255.

    Raises
    ------
    ParameterError
        If a value is not one of these.
    """

    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill_color: int = 0

    def __post_init__(self) -> None:
        modes, filters = one_of(*RESIZE_MODES), one_of(*FILTERS)
        check("openclip", self, resize_mode=modes, interpolation=filters)
        if not all(value > 0 for value in self.std):
            raise ParameterError(f"openclip: std is {self.std}; give three positive numbers")

    @classmethod
    def of(cls, size: Any, values: Mapping[str, Any]) -> Preprocessing:
        """Read the ``preprocess_cfg`` of a config, or the entry of a tag; other keys are ignored.

        Raises
        ------
        ParameterError
            If mean and std are not there, or a value cannot be used.
        """
        names = ("interpolation", "resize_mode", "fill_color")
        try:
            return cls(
                size=_pair(size),
                mean=_channels(values["mean"]),
                std=_channels(values["std"]),
                **{name: values[name] for name in names if values.get(name) is not None},
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, ParameterError):
                raise
            raise ParameterError(
                "openclip: preprocess needs mean and std, three numbers each, and may have "
                f"interpolation and resize_mode; it is {dict(values)!r:.120}"
            ) from error

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height after resizing."""
        high, wide = self.size
        if self.resize_mode == "squash":
            return wide, high
        if self.resize_mode == "shortest" and high == wide:
            if width <= height:
                return wide, max(1, int(wide * height / width))
            return max(1, int(high * width / height)), high
        choose = max if self.resize_mode == "longest" else min
        ratio = choose(height / high, width / wide)
        return max(1, round(width / ratio)), max(1, round(height / ratio))

    def window(self, width: int, height: int) -> Box:
        """Return the part of a picture that the model sees, beyond 0 and 1 where it is padded."""
        wide, high = self.resized(width, height)
        left, right = _span(wide, self.size[1])
        top, bottom = _span(high, self.size[0])
        return left / wide, top / high, right / wide, bottom / high

    def shorten(self, picture: Image.Image) -> tuple[Image.Image, Box]:
        """Return a picture without ends that are cropped away anyhow, and its box.

        See `crossrank_clip.boxes.shorten`.
        """
        return shorten(picture, cropped=self.resize_mode == "shortest")

    def apply(self, picture: Image.Image) -> NDArray[np.float32]:
        """Return a picture's ``[3, height, width]`` input."""
        wide, high = self.resized(*picture.size)
        if (wide, high) != picture.size:
            # a rectangle that is filled by its short side is always bicubic in open_clip
            rectangle = self.resize_mode == "shortest" and self.size[0] != self.size[1]
            name = "bicubic" if rectangle else self.interpolation
            picture = picture.resize((wide, high), FILTERS[name])
        left, right = _span(wide, self.size[1])
        top, bottom = _span(high, self.size[0])
        if right - left > wide or bottom - top > high:
            ground = Image.new("RGB", (right - left, bottom - top), (self.fill_color,) * 3)
            ground.paste(picture, (-left, -top))
            picture = ground
        else:
            picture = picture.crop((left, top, right, bottom))
        values = np.asarray(picture, np.float32) / np.float32(255)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        channels = (values - mean) / std
        return np.ascontiguousarray(channels.transpose(2, 0, 1))


def _span(length: int, wanted: int) -> tuple[int, int]:
    """Return the central span of `wanted` pixels, from below 0 where there are not as many."""
    spare = length - wanted
    # a half goes to the even number in a crop and down in a padding, as in torchvision
    start = round(spare / 2) if spare >= 0 else -(-spare // 2)
    return start, start + wanted


def _pair(size: Any) -> tuple[int, int]:
    if isinstance(size, Sequence):
        height, width = size if len(size) == 2 else (size[0], size[0])
        return int(height), int(width)
    return int(size), int(size)


def _channels(values: Any) -> tuple[float, float, float]:
    if isinstance(values, int | float):
        return (float(values),) * 3
    red, green, blue = (float(value) for value in values)
    return red, green, blue
