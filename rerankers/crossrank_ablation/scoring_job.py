"""The missing pairs of one scorer: described so that a cache knows them, and scored in blocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._engine.identity import identity
from crossrank._engine.resources import Resources
from crossrank._engine.scoring import prepare, score_lists
from crossrank._items.fingerprint import fingerprint
from crossrank._lists.candidates import Candidates
from crossrank._lists.evidence import Evidence
from crossrank._stage import Stage
from crossrank.plugin.contract import Block, Context, Needs, Reranker, Scores, State
from crossrank_ablation.stored_block import ScoredBlock
from crossrank_ablation.task import Task


class Counted(Reranker):
    """A scorer that counts its calls."""

    def __init__(self, scorer: Reranker) -> None:
        self.scorer = scorer
        self.params = scorer.params
        self.info = scorer.info  # type: ignore[misc]  # what the class of the scorer says
        self.calls = 0
        self._lock = threading.Lock()

    def needs(self, context: Context) -> Needs:
        """As the scorer."""
        return self.scorer.needs(context)

    def prepare(self, context: Context) -> State:
        """As the scorer."""
        return self.scorer.prepare(context)

    def score(self, block: Block, state: State) -> Scores:
        """Count, and score."""
        with self._lock:
            self.calls += 1
        return self.scorer.score(block, state)

    def explain(self, block: Block, state: State) -> Sequence[Evidence]:
        """As the scorer."""
        return self.scorer.explain(block, state)

    def fingerprint(self) -> str:
        """As the scorer."""
        return self.scorer.fingerprint()


class Job:
    """The pairs of one scorer that are still missing; the lists of its context hold no others."""

    def __init__(self, stage: Stage, context: Context, task: Task, resources: Resources) -> None:
        self.scorer = Counted(stage.scorer)
        self.stage = Stage(self.scorer, fusion=stage.fusion, name=stage.name)
        self.context, self.task, self.resources = context, task, resources
        self._state: State = None
        self._prepared = False
        self._described: dict[str, Any] | None = None

    def description(self, rows: NDArray[np.int64]) -> dict[str, Any] | None:
        """Return all that the scores of some queries depend on; None if that cannot be told."""
        if self._described is None:
            self._described = self._whole() or {}
        if not self._described:
            return None
        pairs = {"pairs": _pairs_digest(self.context.lists, rows)}
        if self.context.previous is not None:
            pairs["after"] = fingerprint([self.context.before, self.context.previous[rows]])
        return {**self._described, **pairs}

    def _whole(self) -> dict[str, Any] | None:
        scorer = self.scorer.scorer
        who = identity(scorer)
        if who is None:
            return None
        lists = None
        if scorer.info.transductive:
            candidates = self.context.lists
            lists = _pairs_digest(candidates, np.arange(len(candidates)))
        return {
            **who,
            "features": self.task.digests.read_by(scorer, self.context),
            "direction": self.context.direction,
            "lists": lists,
            "query_rows": fingerprint(self.task.query_rows),
            "device": self.resources.device,
            "dtype": self.resources.dtype,
            "memory_budget": self.resources.memory_budget,
        }

    def score(self, rows: NDArray[np.int64]) -> ScoredBlock:
        """Score the pairs of some queries."""
        prepare_seconds = 0.0
        if not self._prepared:
            start = time.perf_counter()
            self._state = prepare(self.stage, self.context)
            self._prepared = True
            prepare_seconds = time.perf_counter() - start
        part, previous = self.context.lists.take(rows), self.context.previous
        calls, start = self.scorer.calls, time.perf_counter()
        raw, reasons = score_lists(
            self.stage,
            replace(
                self.context, lists=part, previous=None if previous is None else previous[rows]
            ),
            self._state,
            self.task.query_rows[rows],
            self.resources,
        )
        seconds = time.perf_counter() - start
        values = raw[part.mask]
        return ScoredBlock(values, reasons, self.scorer.calls - calls, seconds, prepare_seconds)


def _pairs_digest(candidates: Candidates, rows: NDArray[np.int64]) -> str:
    mask = candidates.mask[rows]
    scores = None if candidates.scores is None else np.where(mask, candidates.scores[rows], 0.0)
    return fingerprint([rows, mask, np.where(mask, candidates.index[rows], 0), scores])
