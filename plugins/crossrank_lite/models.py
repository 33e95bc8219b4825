"""Frozen towers and trained heads together: pictures and texts in, features out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from crossrank import Ragged
from crossrank.plugin import Feature
from crossrank_lite.heads import LiteHeads, load_heads
from crossrank_lite.picture_tower import PictureTower, cell_boxes, squeezed
from crossrank_lite.text_tower import TextTower

TOGETHER = 8
"""Items that go through a head at once: the vectors of so many pictures fit the caches."""


class Models:
    """The towers, each loaded on first use, and the heads.

    Parameters
    ----------
    heads
        The file of trained heads.
    text_dtype
        See `MiniLM`.

    Raises
    ------
    MissingPackageError
        If torch, tokenizers or a package with a model is not installed.
    StoreError
        If the file of heads is missing or damaged.
    """

    def __init__(self, heads: Path, text_dtype: str = "float32") -> None:
        self._text_dtype = text_dtype
        self.heads: LiteHeads = load_heads(heads)
        self._lock = Lock()

    @cached_property
    def _pictures(self) -> PictureTower:
        return PictureTower()

    @cached_property
    def _texts(self) -> TextTower:
        return TextTower(self._text_dtype)

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
        sizes: list[tuple[int, int]] = []

        def small() -> Iterator[Image.Image]:
            for picture in pictures:
                sizes.append(picture.size)
                yield squeezed(picture)

        if tower is not None:
            cells = tower.grids(small())
        else:
            cells = []
            sizes.extend(picture.size for picture in pictures)
        count = len(sizes)
        make: dict[str, Callable[[], Feature]] = {
            "embedding": lambda: embeddings(
                self.heads.picture_embedding, self.heads.cells, cells, self.heads.sizes.embedding
            ),
            "tokens": lambda: tokens(self.heads.picture_tokens, self.heads.cells, cells),
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
        joined = [each.joined for each in words]
        make: dict[str, Callable[[], Feature]] = {
            "embedding": lambda: embeddings(
                self.heads.text_embedding, self.heads.words, joined, self.heads.sizes.embedding
            ),
            "tokens": lambda: tokens(self.heads.text_tokens, self.heads.words, joined),
            "words": lambda: Ragged.from_list(each.contextual for each in words),
            "token_text": lambda: [each.text for each in words],
        }
        return {name: make[name]() for name in features}, sum(each.cut for each in words)


@torch.inference_mode()
def embeddings(
    head: nn.Module, scale: nn.Module, items: Sequence[NDArray[np.float32]], size: int
) -> NDArray[np.float32]:
    """Return a unit row per item, ``[N, size]`` float32, of its vectors ``[L_n, D]``.

    Items of one length go through the head together: without padding none can leak into a result.
    """
    found = np.empty((len(items), size), np.float32)
    for rows in batches([len(each) for each in items]):
        vectors = torch.from_numpy(np.stack([items[row] for row in rows]))
        found[rows] = head(scale(vectors)).numpy()
    return found


@torch.inference_mode()
def tokens(head: nn.Module, scale: nn.Module, items: Sequence[NDArray[np.float32]]) -> Ragged:
    """Return a unit row per vector of every item."""
    lengths = [len(each) for each in items]
    found = [
        np.asarray(head(scale(torch.from_numpy(np.concatenate(part)))).numpy(), np.float32)
        for start in range(0, len(items), TOGETHER)
        if (part := items[start : start + TOGETHER])
    ]
    return Ragged(np.concatenate(found), lengths)


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Return rows of equal length side by side, at most `TOGETHER` in a batch."""
    same: dict[int, list[int]] = defaultdict(list)
    for row, length in enumerate(lengths):
        same[length].append(row)
    return [
        rows[first : first + TOGETHER]
        for rows in same.values()
        for first in range(0, len(rows), TOGETHER)
    ]
