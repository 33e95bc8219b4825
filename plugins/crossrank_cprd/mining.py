"""Hard negatives: what the student ranks highest and should not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

import crossrank as cr

CHUNK = 500


class Negatives(NamedTuple):
    """The hardest negatives of each query, hardest first.

    Parameters
    ----------
    columns
        ``[B, K]`` which candidates.
    mask
        ``[B, K]`` bool, False where a query has fewer than K.
    """

    columns: Tensor
    mask: Tensor


def hardest(similarity: Tensor, usable: Tensor, count: int) -> Negatives:
    """Return for each query its most similar usable candidates.

    Parameters
    ----------
    similarity
        ``[B, N]``; no gradient flows through the choice.
    usable
        Bool ``[B, N]``: False for the query's own counterpart and everything of the same image.
    count
        K; fewer if there are fewer candidates.
    """
    with torch.no_grad():
        scores = similarity.masked_fill(~usable, -torch.inf)
        columns = scores.topk(min(count, scores.shape[1]), dim=1).indices
        return Negatives(columns, usable.gather(1, columns))


def in_batch(
    queries: Tensor, candidates: Tensor, owners: Tensor, candidate_owners: Tensor, count: int
) -> Negatives:
    """Mine a batch: candidates of the same image are no negatives.

    Parameters
    ----------
    queries, candidates
        ``[B, D]`` and ``[N, D]`` embeddings.
    owners, candidate_owners
        ``[B]`` and ``[N]`` which image each belongs to.
    count
        K.
    """
    usable = owners[:, None] != candidate_owners[None, :]
    return hardest(queries.detach() @ candidates.detach().T, usable, count)


class Queue:
    """The last embeddings of one side, and whose they are; no gradients (He et al., MoCo, 2020).

    Parameters
    ----------
    size
        How many it holds; the oldest leave first.
    dimensions
        Of an embedding.
    """

    def __init__(self, size: int, dimensions: int) -> None:
        self.embeddings = torch.zeros(size, dimensions)
        self.owners = torch.full((size,), -1)
        self.rows = torch.full((size,), -1)
        self._next = 0
        self._held = 0

    def __len__(self) -> int:
        return self._held

    def push(self, embeddings: Tensor, rows: Tensor, owners: Tensor) -> None:
        """Add items with their rows in the split and the images they belong to."""
        size = len(self.embeddings)
        kept = slice(max(0, len(rows) - size), None)
        count = min(len(rows), size)
        places = (self._next + torch.arange(count)) % size
        self.embeddings[places] = embeddings.detach()[kept].to(self.embeddings.dtype)
        self.rows[places], self.owners[places] = rows[kept], owners[kept]
        self._next = (self._next + count) % size
        self._held = min(size, self._held + count)

    def hardest(self, queries: Tensor, owners: Tensor, count: int) -> Negatives:
        """Mine the queue; the columns are places of `embeddings` and `rows`."""
        held = slice(self._held)
        return in_batch(queries, self.embeddings[held], owners, self.owners[held], count)


@dataclass(frozen=True, slots=True)
class TaughtLists:
    """For every query its pool of candidates, with what the teacher thinks of them.

    Parameters
    ----------
    index
        ``[Q, P]`` rows of the gallery.
    scores
        ``[Q, P]`` float32 of the teacher.
    usable
        Bool ``[Q, P]``: negatives, that is, of another image.
    """

    index: Tensor
    scores: Tensor
    usable: Tensor

    @classmethod
    def of(
        cls,
        candidates: cr.Candidates,
        scores: np.ndarray[tuple[int, int], np.dtype[np.float32]],
        owners: Tensor,
        candidate_owners: Tensor,
    ) -> TaughtLists:
        """Join candidate lists and `crossrank_cprd.teacher.teacher_scores`.

        Parameters
        ----------
        candidates
            Mined by `crossrank.search` over a whole split.
        scores
            ``[Q, P]`` in the places of ``candidates.index``.
        owners, candidate_owners
            Per query and per gallery row which image it belongs to.
        """
        index = torch.from_numpy(np.where(candidates.mask, candidates.index, 0))
        usable = owners[:, None] != candidate_owners[index]
        usable &= torch.from_numpy(candidates.mask.copy())
        return cls(index, torch.from_numpy(scores), usable)

    def spread(self, rows: Tensor, count: int) -> TaughtLists:
        """Return lists for `count` queries, of which only some, in these rows, were taught."""
        made = (
            each.new_zeros(count, each.shape[1]).index_copy(0, rows, each)
            for each in (self.index, self.scores, self.usable)
        )
        return TaughtLists(*made)

    def hardest(self, queries: Tensor, candidates: Tensor, count: int) -> TaughtLists:
        """Return the K hardest negatives of every pool, by embeddings ``[Q, D]`` and ``[N, D]``."""
        taught = self.usable.any(dim=1).nonzero().flatten()
        if count >= self.index.shape[1] or not len(taught):
            return self
        parts = []
        for rows in torch.split(taught, CHUNK):
            pool, usable = self.index[rows], self.usable[rows]
            similarity = torch.einsum("bd,bpd->bp", queries[rows], candidates[pool])
            mined = hardest(similarity, usable, count)
            scores = self.scores[rows].gather(1, mined.columns)
            parts.append((pool.gather(1, mined.columns), scores, mined.mask))
        found = TaughtLists(*(torch.cat(each) for each in zip(*parts, strict=True)))
        return found.spread(taught, len(self.index))
