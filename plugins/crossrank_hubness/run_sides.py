"""The sides of a run as corrections see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_hubness.banks import FEATURE
from crossrank_hubness.matrices import Floats, Integers
from crossrank_hubness.streaming import Report, parts

SHARE_OF_BUDGET = 8


@dataclass(frozen=True, slots=True)
class RunSides:
    """What a run asks and lists.

    Parameters
    ----------
    context
        The run.
    asked
        ``[A]`` rows of the queries that ask.
    listed
        ``[L]`` rows of the gallery that stand in a list.
    """

    context: cr.Context
    asked: Integers
    listed: Integers

    @classmethod
    def of(cls, context: cr.Context) -> RunSides:
        """Look at the lists of a run."""
        return cls(context, context.query_rows, context.listed.rows)

    @property
    def block_bytes(self) -> int:
        """What a block of a computation may take."""
        return self.context.memory_budget // SHARE_OF_BUDGET

    def previous(self) -> Floats:
        """Return ``[A, K]`` the scores before the stage, −inf where there is no candidate."""
        lists = self.context.lists
        scores = 0.0 if self.context.previous is None else self.context.previous
        return np.where(lists.mask, scores, -np.inf)

    def best_listed(self) -> Integers:
        """Return ``[A]`` the best row of the gallery by the scores before the stage.

        Of equal ones the earlier row; −1 for an empty list.
        """
        scores, lists = self.previous(), self.context.lists
        if not lists.mask.shape[1]:
            return np.full(len(lists), -1, np.int64)
        high = scores.max(axis=1, keepdims=True)
        rows = np.where(lists.mask & (scores == high), lists.index, np.iinfo(np.int64).max)
        return np.where(lists.mask.any(axis=1), rows.min(axis=1), -1)

    def queries(self) -> cr.Collection:
        """Return the queries that ask, with their embeddings."""
        return self.context.queries.take(self.asked, [FEATURE])

    def read_queries(self, part: slice) -> NDArray[np.float32]:
        """Return the embeddings of some of the queries that ask."""
        return embeddings(self.context.queries, self.asked[part])

    def read_listed(self, part: slice) -> NDArray[np.float32]:
        """Return the embeddings of some of the items that are listed."""
        return embeddings(self.context.gallery, self.listed[part])

    def of_queries(self, values: Floats) -> Floats:
        """Spread ``[A]`` values over the rows of the queries."""
        spread = np.full(len(self.context.queries), np.nan)
        spread[self.asked] = values
        return spread

    def of_candidates(self, values: Floats) -> Floats:
        """Spread ``[L]`` values over the rows of the gallery."""
        spread = np.full(len(self.context.gallery), np.nan)
        spread[self.listed] = values
        return spread

    def report(self, what: str, total: int) -> Report:
        """Return what tells the run's progress how many of some items are done."""
        return lambda done: self.context.progress(what, done, total)


def embeddings(collection: cr.Collection, rows: Integers) -> NDArray[np.float32]:
    """Return the embeddings of some items."""
    return np.ascontiguousarray(collection.take(rows, [FEATURE])[FEATURE], np.float32)


def mean_embedding(collection: cr.Collection, block_bytes: int) -> Floats:
    """Return ``[D]`` the mean of a collection's embeddings."""
    size = collection[FEATURE].shape[1]
    total = np.zeros(size)
    for part in parts(len(collection), 8 * size, block_bytes):
        rows = np.arange(part.start, part.stop)
        total += embeddings(collection, rows).sum(axis=0, dtype=np.float64)
    return total / max(1, len(collection))
