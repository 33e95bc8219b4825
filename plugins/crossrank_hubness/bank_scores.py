"""What a bank says of the listed candidates: of its inner products, or of scores it was given.

No table of bank × gallery is held beyond a block of the bank's rows.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_hubness.matrices import Floats
from crossrank_hubness.over import BankRun
from crossrank_hubness.run_sides import RunSides
from crossrank_hubness.streaming import log_sums, parts, top_k_means

PAIR_BYTES = 128
"""What a pair of a bank's run takes: index, mask, order and scores of each stage."""

log = logging.getLogger(__name__)


class BankScores(ABC):
    """Scores between a bank's items and the L listed candidates."""

    @abstractmethod
    def means(self, count: int) -> Floats:
        """Return ``[L]`` the mean of each candidate's `count` largest."""

    @abstractmethod
    def log_sums(self, beta: float) -> Floats:
        """Return ``[L]`` ``log Σ_b exp(β s(b, g))``."""

    @abstractmethod
    def hubs(self, count: int) -> NDArray[np.bool_]:
        """Return ``[N]`` which of the gallery are among the `count` best of some item."""


class Products(BankScores):
    """Inner products with the embeddings of a bank.

    Parameters
    ----------
    who
        The reranker, for progress.
    sides
        The run.
    bank
        Its items.
    vectors
        ``[m, D]`` their embeddings.
    """

    def __init__(
        self, who: str, sides: RunSides, bank: cr.Collection, vectors: NDArray[np.float32]
    ) -> None:
        self.sides, self.bank, self.vectors = sides, bank, vectors
        self._report = sides.report(f"{who}: candidates", len(sides.listed))

    def means(self, count: int) -> Floats:
        """See `BankScores`."""
        sides = self.sides
        return top_k_means(
            sides.read_listed,
            len(sides.listed),
            self.vectors,
            count,
            sides.block_bytes,
            self._report,
        )

    def log_sums(self, beta: float) -> Floats:
        """See `BankScores`."""
        sides = self.sides
        return log_sums(
            sides.read_listed,
            len(sides.listed),
            self.vectors,
            beta,
            sides.block_bytes,
            self._report,
        )

    def hubs(self, count: int) -> NDArray[np.bool_]:
        """See `BankScores`; the best are those of the whole gallery, whatever is listed."""
        best = cr.search(self.bank, self.sides.context.gallery, count).index
        return np.isin(np.arange(len(self.sides.context.gallery)), best)


class StageScored(BankScores):
    """Scores that stages give a bank's items.

    Parameters
    ----------
    who
        The reranker, for log and progress.
    sides
        The run.
    bank
        Its items, with all that the stages read.
    run
        How they are scored.
    """

    def __init__(self, who: str, sides: RunSides, bank: cr.Collection, run: BankRun) -> None:
        self.who, self.sides, self.bank, self.run = who, sides, bank, run
        self.pairs = 0

    def means(self, count: int) -> Floats:
        """See `BankScores`."""
        best = np.empty((0, len(self.sides.listed)))
        for scores in self._blocks():
            best = np.concatenate([best, scores])
            if count < len(best):
                best = np.partition(best, len(best) - count, axis=0)[-count:]
        return np.asarray(best.mean(axis=0), np.float64)

    def log_sums(self, beta: float) -> Floats:
        """See `BankScores`."""
        sums = np.full(len(self.sides.listed), -np.inf)
        for scores in self._blocks():
            sums = np.logaddexp(sums, np.logaddexp.reduce(beta * scores, axis=0))
        return sums

    def hubs(self, count: int) -> NDArray[np.bool_]:
        """See `BankScores`."""
        found = np.zeros(len(self.sides.context.gallery), np.bool_)
        for scores in self._blocks():
            best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
            found[self.sides.listed[best]] = True
        return found

    def _blocks(self) -> Iterator[Floats]:
        """Yield ``[n, L]`` scores of some of the items; what a stage did not see is below it."""
        self.pairs, done = 0, 0
        report = self.sides.report(f"{self.who}: bank", len(self.bank))
        listed = self.sides.listed
        row_bytes = PAIR_BYTES * self.run.depth + 16 * len(self.sides.context.gallery)
        for part in parts(len(self.bank), row_bytes, self.sides.block_bytes):
            items = self.bank.take(np.arange(part.start, part.stop))
            yield self._scored(items)[:, listed]
            done = part.stop
            report(done)
        log.info(
            "%s: %s scored %s pairs of %s items of the bank",
            self.who,
            " → ".join(stage.name for stage in self.run.stages) or "the base",
            f"{self.pairs:,}",
            f"{done:,}",
        )

    def _scored(self, items: cr.Collection) -> Floats:
        """Return ``[n, N]`` the scores of some items."""
        context = self.sides.context
        lists = self._lists(items)
        matrix = np.full((len(items), len(context.gallery)), -np.inf)
        if not self.run.stages:
            assert lists.scores is not None
            np.put_along_axis(matrix, lists.index, lists.scores, axis=1)
        else:
            rankings = cr.Pipeline(self.run.stages).rerank(
                lists,
                items,
                context.gallery,
                memory_budget=context.memory_budget,
                threads=context.threads,
                device=context.device,
                dtype=context.dtype,
                cache_folder=context.cache_folder,
            )
            matrix = rankings.to_similarity()
            self.pairs += sum(int(stage.seen.sum()) for stage in rankings.stages)
        lowest = np.where(np.isfinite(matrix), matrix, np.inf).min(axis=1, keepdims=True)
        return np.where(np.isfinite(matrix), matrix, lowest)

    def _lists(self, items: cr.Collection) -> cr.Candidates:
        """Return candidates of some items: the best of the gallery, or all that are listed.

        The best do not depend on what is listed, nor do the biases.
        """
        listed, gallery = self.sides.listed, self.sides.context.gallery
        if self.run.needs_base:
            found = cr.search(items, gallery, self.run.depth)
            index, scores = found.index, found.scores
        else:
            index, scores = np.tile(listed, (len(items), 1)), None
        return cr.Candidates(
            index=index,
            scores=scores,
            mask=np.ones(index.shape, np.bool_),
            query_ids=items.ids,
            candidate_ids=gallery.ids,
            direction=self.sides.context.direction,
        )
