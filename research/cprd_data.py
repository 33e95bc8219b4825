"""Encoded Flickr8k for `train_cprd.py`: collections, what belongs together, mined lists, R@K."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.files import atomic_binary
from crossrank_cprd.pairs import Pairs, Side

CUTS = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class Split:
    """A split as `crossrank encode` leaves it.

    Parameters
    ----------
    name
        ``train``, ``val`` or ``test``.
    images, texts
        Pictures under their file names, captions under ``<file name>#<number>``.
    owners
        ``[texts]`` the row of each caption's picture.
    """

    name: str
    images: cr.Collection
    texts: cr.Collection
    owners: NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path, name: str) -> Split:
        """Open ``images_<name>`` and ``words_<name>``."""
        images, texts = (
            cr.Collection.open(folder / f"{what}_{name}") for what in ("images", "words")
        )
        owners = [images.row(id.rsplit("#", 1)[0]) for id in texts.ids]
        return cls(name, images, texts, np.array(owners))

    def sides(self, direction: str) -> tuple[cr.Collection, cr.Collection]:
        """Return queries and gallery."""
        pair = (self.texts, self.images)
        return pair if direction == "t2i" else pair[::-1]

    def owners_of(self, direction: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which picture each query and each gallery row belongs to."""
        pair = (self.owners, np.arange(len(self.images)))
        return pair if direction == "t2i" else pair[::-1]

    def pairs(self, anchors: NDArray[np.float32]) -> Pairs:
        """Read what a student is trained on."""
        owners = torch.from_numpy(self.owners)
        return Pairs(Side.of(self.images, anchors), Side.of(self.texts, anchors), owners)

    def recall(self, images: NDArray[np.float32], texts: NDArray[np.float32]) -> dict[str, float]:
        """Return R@1, R@5 and R@10 of embeddings over the whole split, both directions."""
        return recall(images @ texts.T, self.owners)


def recall(similarity: NDArray[np.float32], owners: NDArray[np.int64]) -> dict[str, float]:
    """Return R@K of ``[images, texts]``, in per cent."""
    both = cr.evaluate_matrix(similarity, text_to_image=owners, resamples=0)
    return {
        f"{direction} R@{cut}": round(each["similarity"][f"R@{cut}"], 2)
        for direction, each in (("t2i", both.t2i), ("i2t", both.i2t))
        for cut in CUTS
    }


def mined(
    split: Split, direction: str, depth: int, captions: Sequence[int], path: Path
) -> cr.Candidates:
    """Return each query's nearest of the whole split, from a file if there is one.

    Parameters
    ----------
    captions
        Which captions of each picture ask, in t2i.
    """
    queries, gallery = split.sides(direction)
    chosen = list(range(len(queries)))
    if direction == "t2i":
        chosen = [
            row for row, id in enumerate(queries.ids) if int(id.rsplit("#", 1)[1]) in captions
        ]
    if not path.exists():
        found = cr.search(queries.take(chosen, ["embedding"]), gallery, depth=depth)
        assert found.scores is not None
        with atomic_binary(path) as file:
            np.savez(file, index=found.index, scores=found.scores)
    with np.load(path, allow_pickle=False) as file:
        index, scores = file["index"], file["scores"]
    ids = tuple(queries.ids[row] for row in chosen)
    everywhere = np.ones(index.shape, np.bool_)
    return cr.Candidates(index, scores, everywhere, ids, gallery.ids, direction)
