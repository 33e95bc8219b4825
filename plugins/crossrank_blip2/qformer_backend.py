"""What the backends of both libraries do alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from crossrank.errors import InputError
from crossrank_blip2.checks import check_tokens
from crossrank_blip2.texts import Tokens, tokenise


class QFormerBackend:
    """The part of a `Backend` that does not depend on how a library names its modules.

    Parameters
    ----------
    model
        Put into evaluation mode.
    tokenizer
        The one it was trained with.
    size
        Of its input in pixels, one number or height and width.
    vocabulary
        Its module of word embeddings.

    Raises
    ------
    InputError
        If the input is no square.
    """

    def __init__(self, model: Any, tokenizer: Any, size: Any, vocabulary: Any) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        height, width = (size, size) if isinstance(size, int) else size
        if height != width:
            raise InputError(f"blip2: the model's input is {height}×{width}; BLIP-2's is a square")
        self._size = int(height)

    @property
    def model(self) -> Any:
        """See `Backend.model`."""
        return self._model

    @property
    def image_size(self) -> int:
        """See `Backend.image_size`."""
        return self._size

    def pixels(self, pictures: Sequence[Image.Image]) -> Tensor:
        """See `Backend.pixels`."""
        return to_pixels(pictures, self.image_size)

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """See `Backend.tokenise`."""
        return check_tokens(tokenise(self._tokenizer, texts), self._vocabulary)

    def _queries(self, count: int) -> Tensor:
        queries: Tensor = self._model.query_tokens.expand(count, -1, -1)
        return queries


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
