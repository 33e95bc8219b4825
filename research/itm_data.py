"""What `train_lite_itm.py` reads: encoded splits, and crops of the train split's pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional

import crossrank as cr
from crossrank_lite.heads import Standardise
from crossrank_lite.picture_tower import PictureTower
from lite_features import CAPTIONS, SHARD, Split, picture_shards

SPREAD_FLOOR = {"regions": 0.05, "words": 0.01}
"""Keeps features that never fire small, as in the lite heads."""


class CropView:
    """The cells of a crop of every picture, read from the shards on disk row by row.

    Parameters
    ----------
    shards
        What `crop_shards` wrote, in order.
    """

    def __init__(self, shards: Sequence[Path]) -> None:
        self._files: list[Any] = [safe_open(path, "np") for path in shards]
        self._tables = [file.get_slice("cells") for file in self._files]

    def __getitem__(self, picture: int) -> NDArray[np.float16]:
        """Return ``[R, D]``."""
        cells: NDArray[np.float16] = self._tables[picture // SHARD][picture % SHARD]
        return cells


@dataclass(frozen=True, slots=True)
class TrainPairs:
    """The features of the train split.

    Parameters
    ----------
    views
        Raw cells ``[R, D]`` by picture: of the whole pictures, then of crops; all lie on disk.
    words, tokens
        Of the 5 · N captions.
    meanings
        ``[5 · N, D]`` unit rows: what the language model alone says of each caption.
    alike
        ``[N, K]``: each picture and those whose embeddings are nearest to its own.
    """

    views: list[NDArray[Any] | CropView]
    words: cr.Ragged
    tokens: cr.Ragged
    meanings: Tensor
    alike: NDArray[np.int64]

    @property
    def cells(self) -> int:
        """How many a picture has."""
        return len(self.views[0][0])

    def cells_of(self, view: int, pictures: Tensor, cells: Tensor) -> Tensor:
        """Return some raw cells of some pictures ``[B, C, D]``."""
        table, chosen = self.views[view], cells.numpy()
        rows = [table[picture][chosen] for picture in pictures.tolist()]
        return torch.from_numpy(np.stack(rows).astype(np.float32))

    def words_of(self, captions: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return words ``[B, L, D]``, tokens and mask of captions, cut to `most` words by chance.

        Padding holds what lies there; the mask says where.
        """
        lengths = torch.from_numpy(self.words.lengths)[captions]
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        order = torch.rand(mask.shape).masked_fill(~mask, 2.0).argsort(dim=1)[:, :most]
        mask = mask.gather(1, order)
        rows = torch.from_numpy(self.words.offsets[:-1])[captions][:, None] + order * mask
        words, tokens = (
            torch.from_numpy(each.flat[rows.numpy()]) for each in (self.words, self.tokens)
        )
        return words, tokens, mask


def open_train(work: Path, pictures: cr.Collection, crops: Sequence[Sequence[Path]]) -> TrainPairs:
    """Open the train split.

    Parameters
    ----------
    work
        Where ``words_train`` lies.
    pictures
        ``images_train``.
    crops
        The shards of each further view.
    """
    texts = cr.Collection.open(work / "words_train")
    count, size = len(pictures), pictures["regions"].trailing[0]
    whole = pictures["regions"].flat.reshape(count, -1, size)
    words = texts["words"]
    sums = np.add.reduceat(words.flat, words.offsets[:-1], axis=0)
    means = torch.from_numpy(sums / words.lengths[:, None].astype(np.float32))
    return TrainPairs(
        [whole, *map(CropView, crops)],
        words,
        texts["tokens"],
        functional.normalize(means, dim=-1),
        nearest(torch.from_numpy(np.array(pictures["embedding"]))),
    )


def nearest(embeddings: Tensor, most: int = 120) -> NDArray[np.int64]:
    """Return ``[N, K]``: the rows nearest to each row of ``[N, D]``, itself first."""
    found = []
    for rows in torch.split(torch.arange(len(embeddings)), 500):
        cosines = embeddings[rows] @ embeddings.T
        cosines[torch.arange(len(rows)), rows] = torch.inf
        found.append(cosines.topk(min(most, len(embeddings)), dim=1).indices)
    return torch.cat(found).numpy()


def crop_shards(split: Split, views: int, folder: Path) -> list[list[Path]]:
    """Cache the cells of random crops of every picture, half of them mirrored."""
    if views < 2:
        return []
    tower = PictureTower()
    return [picture_shards(split, view, folder, tower) for view in range(1, views)]


def measure_spread(scale: Standardise, features: cr.Ragged, floor: float) -> None:
    """Set mean and spread of a scale from the vectors of a collection."""
    total = np.zeros(features.trailing)
    squares = np.zeros(features.trailing)
    for start in range(0, len(features.flat), 1 << 15):
        rows = features.flat[start : start + (1 << 15)].astype(np.float64)
        total += rows.sum(axis=0)
        squares += (rows**2).sum(axis=0)
    mean = total / len(features.flat)
    spread = np.sqrt(np.maximum(squares / len(features.flat) - mean**2, 0)) + floor
    scale.mean.copy_(torch.from_numpy(mean))
    scale.spread.copy_(torch.from_numpy(spread))


def digest(path: Path) -> str:
    """Return the BLAKE2b-128 of a file."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


__all__ = ["CAPTIONS", "TrainPairs", "crop_shards", "digest", "measure_spread", "open_train"]
