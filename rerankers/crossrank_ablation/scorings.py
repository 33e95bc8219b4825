"""Raw scores of one task: each pair is scored once, in an order that depends on the plan alone.

What is on disk saves work but never changes a number: which pairs are scored together follows from
the runs before in the same plan, and a block is named by exactly these pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from crossrank._engine.resources import Resources
from crossrank._engine.scoring import cut_lists
from crossrank._items.fingerprint import fingerprint
from crossrank._lists.ordering import arrange, scatter
from crossrank._stage import Stage
from crossrank.plugin.contract import Context
from crossrank_ablation.cache import ScoreCache
from crossrank_ablation.scoring_job import Job
from crossrank_ablation.spent import Rate, Spent
from crossrank_ablation.stored_block import ScoredBlock, description_key
from crossrank_ablation.task import Task

BLOCK_QUERIES = 1024
"""Queries per block: as many as the engine scores together at most."""


After = tuple[tuple[Stage, ...], NDArray[np.float64]]
"""What a scorer that reads the scores before it follows: stages, and ``[Q, K]`` scores."""


@dataclass(slots=True)
class _Known:
    """All that is known of one scorer's pairs; arrays are ``[Q, K]``."""

    raw: NDArray[np.float32]
    done: NDArray[np.bool_]
    reasons: list[str]
    rate: Rate


@dataclass(slots=True)
class Scorings:
    """The raw scores of one task, in blocks that a cache may keep.

    Its context is the task as scorers see it, without lists cut to a stage.
    """

    task: Task
    context: Context
    resources: Resources
    cache: ScoreCache | None = None
    _known: dict[str, _Known] = field(default_factory=dict)
    _foreseen: dict[str, int | None] = field(default_factory=dict)

    def foresee(self, depths: Mapping[str, int | None]) -> None:
        """Note how deep each scorer, by its `scorer_key`, will see the base lists; None for all.

        It then scores these pairs together, the first time it is asked.
        """
        self._foreseen = dict(depths)

    def raw(
        self,
        stage: Stage,
        seen: NDArray[np.bool_],
        current_ranks: NDArray[np.int64],
        previous: NDArray[np.float64] | None = None,
        before: tuple[Stage, ...] = (),
    ) -> tuple[NDArray[np.float32], tuple[str, ...], Spent]:
        """Return ``[Q, K]`` a stage's raw scores where `seen`, NaN elsewhere, and what it took.

        Parameters
        ----------
        stage
            Whose scores.
        seen, current_ranks
            ``[Q, K]`` what lies within its depth, and the ranks before it.
        previous, before
            ``[Q, K]`` the scores before it, and the stages that made them.
        """
        follows = stage.scorer.needs(self.context).previous
        bound = stage.scorer.info.transductive or follows
        order = current_ranks if bound else self.task.base_ranks
        name = scorer_key(stage)
        if bound:  # its scores hold for these very lists only
            name += fingerprint([np.where(seen, current_ranks, 0)])
        after: After | None = None
        if follows and previous is not None:
            after = before, np.where(self.task.candidates.mask, previous, 0.0)
            name += fingerprint(after)
        known = self._known.get(name)
        missing = seen if known is None else seen & ~known.done
        if known is None:
            known = self._known[name] = _Known(
                np.full(seen.shape, np.nan, np.float32),
                np.zeros(seen.shape, np.bool_),
                [""] * len(seen),
                Rate(),
            )
            if name in self._foreseen:
                deep = self._foreseen[name]
                mask = self.task.candidates.mask
                ahead = mask if deep is None else mask & (self.task.base_ranks <= deep)
                missing = seen | ahead
        spent = Spent(shared=int((seen & known.done).sum()))
        if missing.any():
            spent += self._score(stage, known, missing, order, after)
        scores = np.where(seen, known.raw, np.float32(np.nan))
        return scores, tuple(known.reasons), spent

    def rate(self, stage: Stage) -> Rate:
        """Return how fast a stage's scorer was so far."""
        key = scorer_key(stage)
        total = Rate()
        for name, known in self._known.items():
            if name.startswith(key):
                total.pairs += known.rate.pairs
                total.seconds += known.rate.seconds
                total.prepare_seconds = max(total.prepare_seconds, known.rate.prepare_seconds)
        return total

    def _score(
        self,
        stage: Stage,
        known: _Known,
        missing: NDArray[np.bool_],
        order: NDArray[np.int64],
        after: After | None,
    ) -> Spent:
        last = np.iinfo(np.int64).max
        places, part = cut_lists(self.task.candidates, missing, np.where(missing, order, last))
        context = replace(self.context, lists=part)
        if after is not None:
            stages, previous = after
            context = replace(context, before=stages, previous=arrange(previous, places))
        job = Job(stage, context, self.task, self.resources)
        rows = np.flatnonzero(missing.any(axis=1))
        spent = Spent()
        for start in range(0, len(rows), BLOCK_QUERIES):
            chosen = rows[start : start + BLOCK_QUERIES]
            block, fresh = self._block(job, chosen)
            pairs = part.mask[chosen]
            raw = np.full(pairs.shape, np.nan, np.float32)
            raw[pairs] = block.values
            onto = np.full((len(chosen), missing.shape[1]), np.nan, np.float32)
            spread = scatter(raw, places[chosen], onto)
            known.raw[chosen] = np.where(missing[chosen], spread, known.raw[chosen])
            for row, why in zip(chosen, block.reasons, strict=True):
                known.reasons[row] = why or known.reasons[row]
            count = int(pairs.sum())
            known.rate.pairs += count
            known.rate.seconds += block.seconds
            known.rate.prepare_seconds += block.prepare_seconds
            spent += Spent(block.calls, count) if fresh else Spent(from_cache=count)
        known.done |= missing
        return spent

    def _block(self, job: Job, rows: NDArray[np.int64]) -> tuple[ScoredBlock, bool]:
        """Return the scores of some queries' pairs, and whether they were made now."""
        description = None if self.cache is None else job.description(rows)
        if self.cache is None or description is None:
            return job.score(rows), True
        key = description_key(description)
        found = self.cache.get(key, description)
        if found is not None:
            return found, False
        with self.cache.claim(key):
            found = self.cache.get(key, description)  # another process may have made it meanwhile
            if found is not None:
                return found, False
            made = job.score(rows)
            self.cache.put(key, description, made)
            return made, True


def scorer_key(stage: Stage) -> str:
    """Return by what a stage's scorer is told from others within one process."""
    scorer = stage.scorer
    return f"{scorer.info.name}:{scorer.fingerprint()}:"
