"""Frozen towers and trained heads together: pictures and texts in, features out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from crossrank import Ragged
from crossrank.plugin import Feature
from crossrank_lite.heads import LiteHeads, load_heads
from crossrank_lite.picture_tower import PictureTower, cell_boxes, to_pixels
from crossrank_lite.text_tower import TextTower, Words


class Models:
    """The towers, each loaded on first use, and the heads.

    Parameters
    ----------
    heads
        The file of trained heads.

    Raises
    ------
    MissingPackageError
        If torch, transformers or a package with a model is not installed.
    StoreError
        If the file of heads is missing or damaged.
    """

    def __init__(self, heads: Path) -> None:
        self.heads: LiteHeads = load_heads(heads)
        self._lock = Lock()

    @cached_property
    def _pictures(self) -> PictureTower:
        return PictureTower()

    @cached_property
    def _texts(self) -> TextTower:
        return TextTower()

    def of_pictures(
        self, pictures: Iterable[Image.Image], features: Sequence[str]
    ) -> dict[str, Feature]:
        """Return features of N pictures, 8-bit RGB; one at a time is held at its full size.

        Returns
        -------
        dict
            ``embedding`` ``[N, D]`` and ``tokens`` ragged ``[81, D]``, unit rows; ``regions``
            ragged ``[81, 1280]``, the raw cells; ``token_boxes`` and ``boxes``, where the cells
            lie; all float32. ``size`` ``[N, 2]`` int64.
        """
        with self._lock:
            tower = self._pictures if {"embedding", "tokens", "regions"} & set(features) else None
        sizes, cells = [], []
        for picture in pictures:
            sizes.append(picture.size)
            if tower is not None:
                cells.append(tower.grid(to_pixels(picture)[None])[0])
        count = len(sizes)
        make: dict[str, Callable[[], Feature]] = {
            "embedding": lambda: np.stack([picture_embedding(self.heads, each) for each in cells]),
            "tokens": lambda: Ragged.from_list(picture_tokens(self.heads, each) for each in cells),
            "regions": lambda: Ragged.from_list(cells),
            "token_boxes": lambda: Ragged.from_list([cell_boxes()] * count),
            "boxes": lambda: Ragged.from_list([cell_boxes()] * count),
            "size": lambda: np.array(sizes, dtype=np.int64),
        }
        return {name: make[name]() for name in features}

    def of_texts(
        self, texts: Sequence[str], features: Sequence[str]
    ) -> tuple[dict[str, Feature], int]:
        """Return features of N texts, and how many of the texts were cut.

        Returns
        -------
        dict
            ``embedding`` ``[N, D]`` and ``tokens`` ragged ``[L_n, D]``, unit rows; ``words`` ragged
            ``[L_n, 384]``, the contextual vectors; all float32. ``token_text``: N lists of str.
        cut
            How many.
        """
        with self._lock:
            tower = self._texts
        words = tower.words(texts)
        make: dict[str, Callable[[], Feature]] = {
            "embedding": lambda: np.stack([text_embedding(self.heads, each) for each in words]),
            "tokens": lambda: Ragged.from_list(text_tokens(self.heads, each) for each in words),
            "words": lambda: Ragged.from_list(each.contextual for each in words),
            "token_text": lambda: [each.text for each in words],
        }
        return {name: make[name]() for name in features}, sum(each.cut for each in words)


# The heads see one item at a time, as the towers do: nothing depends on what shares its batch.


def picture_embedding(heads: LiteHeads, cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the unit row ``[D]`` of a picture's raw cells ``[R, 1280]``."""
    return _apply(heads.picture_embedding, heads.cells, cells)


def picture_tokens(heads: LiteHeads, cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the unit rows ``[R, D]`` of a picture's raw cells ``[R, 1280]``."""
    return _apply(heads.picture_tokens, heads.cells, cells)


def text_embedding(heads: LiteHeads, words: Words) -> NDArray[np.float32]:
    """Return the unit row ``[D]`` of a text."""
    return _apply(heads.text_embedding, heads.words, words.joined)


def text_tokens(heads: LiteHeads, words: Words) -> NDArray[np.float32]:
    """Return the unit rows ``[L, D]`` of a text's words."""
    return _apply(heads.text_tokens, heads.words, words.joined)


@torch.inference_mode()
def _apply(head: nn.Module, scale: nn.Module, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    made: Tensor = head(scale(torch.from_numpy(vectors)[None]))
    found: NDArray[np.float32] = made[0].numpy()
    return found
