"""Augmentations that a seed makes again: a store keeps the seed instead of the pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image

from crossrank.errors import ParameterError
from crossrank.plugin.parameters import between, check, positive

Augmentation: TypeAlias = Callable[[Image.Image, int], Image.Image]
"""A picture and a seed in, a picture out, the same for the same seed."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A random crop, now and then mirrored.

    Parameters
    ----------
    least, most
        The share of the area that is kept, drawn evenly between the two.
    ratio
        How much wider or higher than the picture the crop may be; at least 1.
    mirrored
        How probable a mirrored crop is.

    Raises
    ------
    ParameterError
        If a value is out of range.
    """

    least: float = 0.4
    most: float = 1.0
    ratio: float = 4 / 3
    mirrored: float = 0.5

    def __post_init__(self) -> None:
        share = between(0, 1)
        check("reinforce", self, least=positive, most=share, mirrored=share, ratio=positive)
        if self.least > self.most or self.ratio < 1:
            raise ParameterError(
                f"reinforce: least {self.least}, most {self.most}, ratio {self.ratio}; give "
                "0 < least <= most <= 1 and a ratio from 1 up"
            )

    def __call__(self, picture: Image.Image, seed: int) -> Image.Image:
        """Return the crop of a seed."""
        rng = np.random.default_rng(seed)
        width, height = picture.size
        share = rng.uniform(self.least, self.most)
        stretch = np.exp(rng.uniform(-1, 1) * np.log(self.ratio) / 2)
        wide = min(width, max(1, round(width * share**0.5 * stretch)))
        high = min(height, max(1, round(height * share**0.5 / stretch)))
        left = int(rng.integers(width - wide + 1))
        top = int(rng.integers(height - high + 1))
        cut = picture.crop((left, top, left + wide, top + high))
        if rng.random() < self.mirrored:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return cut


def seed_of(seed: int, id: str, number: int) -> int:
    """Return the seed of an item's augmentation or variant; it depends on nothing else."""
    content = f"{seed}\0{number}\0{id}".encode()
    digest = hashlib.blake2b(content, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1  # so that int64 holds it
