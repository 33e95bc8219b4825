"""Pictures and captions as training reads them: two matrices a side, in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import crossrank as cr
from crossrank_cprd.student import Tower
from crossrank_cprd.summary import summaries


@dataclass(frozen=True, slots=True)
class Side:
    """The items of one side.

    Parameters
    ----------
    embedding
        ``[N, D]`` float32, the encoder's own.
    summary
        ``[N, S]`` float32, see `summaries`; not standardised.
    """

    embedding: Tensor
    summary: Tensor

    @classmethod
    def of(cls, items: cr.Collection, anchors: NDArray[np.float32]) -> Side:
        """Read a collection with ``embedding`` and ``tokens``."""
        embedding = torch.from_numpy(np.array(items["embedding"], np.float32))
        return cls(embedding, torch.from_numpy(summaries(items, anchors)))

    def __len__(self) -> int:
        return len(self.embedding)

    def through(self, tower: Tower, rows: Tensor) -> Tensor:
        """Return the embeddings ``[n, D]`` of some items."""
        embedded: Tensor = tower(self.embedding[rows], tower.standardise(self.summary[rows]))
        return embedded

    @torch.inference_mode()
    def all_through(self, tower: Tower, batch: int = 1000) -> Tensor:
        """Return the embeddings ``[N, D]`` of all items."""
        rows = torch.split(torch.arange(len(self)), batch)
        return torch.cat([self.through(tower, each) for each in rows])


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pictures with their captions.

    Parameters
    ----------
    images, texts
        Both sides.
    owners
        ``[texts]`` the row of the picture that each text describes.
    """

    images: Side
    texts: Side
    owners: Tensor
