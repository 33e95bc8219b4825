"""Pictures, as BLIP-2 looks at them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""CLIP's, per channel of [0, 1]."""


def to_pixels(pictures: Sequence[Image.Image], size: int) -> Tensor:
    """Return ``[B, 3, size, size]`` float32: squashed to a square, bicubic, normalised as CLIP's.

    Parameters
    ----------
    pictures
        Upright RGB images of any shape; see `crossrank.open_image`.
    size
        Of the model's input, in pixels.
    """
    square = [
        np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC), np.float32)
        for picture in pictures
    ]
    values = np.stack(square) / np.float32(255)
    normalised = (values - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(normalised.transpose(0, 3, 1, 2)))
