"""What the backends of both libraries do alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from crossrank.errors import InputError
from crossrank_blip2.checks import check_tokens
from crossrank_blip2.pictures import to_pixels
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
