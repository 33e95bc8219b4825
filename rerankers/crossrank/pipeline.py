"""Pipelines: candidates in, rankings out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossrank.candidates import Candidates
from crossrank.checks import align, check_features, check_fusable
from crossrank.collection import Collection
from crossrank.contract import Context, Progress
from crossrank.errors import InputError
from crossrank.evidence import Evidence
from crossrank.fusion import check_finite
from crossrank.ordering import arrange, order_rows, ranks
from crossrank.rankings import Rankings, StageScores
from crossrank.readers import check_positive
from crossrank.resources import Resources
from crossrank.scoring import explain_pairs, score_stage
from crossrank.stage import Stage


class Pipeline:
    """Stages that rerank candidate lists one after another.

    Parameters
    ----------
    stages
        At least one; a name stands for ``Stage(name)``.

    Examples
    --------
    >>> import crossrank as cr
    >>> pipe = cr.Pipeline([cr.Stage("filip", depth=100), cr.Stage("mack", depth=15)])
    ... # doctest: +SKIP
    """

    def __init__(self, stages: Sequence[Stage | str] | Stage | str) -> None:
        given = [stages] if isinstance(stages, Stage | str) else list(stages)
        if not given:
            raise InputError("Pipeline: give at least one stage")
        self.stages = _with_distinct_names(
            [stage if isinstance(stage, Stage) else Stage(stage) for stage in given]
        )

    def rerank(
        self,
        candidates: Candidates,
        queries: Collection,
        gallery: Collection,
        *,
        top_k: int | None = None,
        score_threshold: float | None = None,
        progress: Progress | bool | None = None,
        memory_budget: int | str = "1GB",
        workers: int = 1,
        threads: int | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        cache_folder: str | Path | None = None,
    ) -> Rankings:
        """Rerank every list.

        Parameters
        ----------
        candidates
            What the base matcher found; ids are matched by name, so collections may hold more.
        queries, gallery
            The features of both sides.
        top_k
            How many to return per query; all by default.
        score_threshold
            The lowest final score to return, inclusive.
        progress
            True for a bar on standard error, or a callable ``(what, done, total)``.
        memory_budget
            Bytes, or a str such as ``"2GB"``, that the run may hold besides input and result.
        workers
            Threads that score blocks at once; the result does not depend on it.
        threads
            Threads each kernel may use; the cores divided among the workers by default.
        device, dtype
            For scorers that run models.
        cache_folder
            Where scorers may keep what they prepared of a gallery.

        Raises
        ------
        CrossrankError
            One clear error before any work for input that does not fit, and `PluginError` for a
            plugin that breaks its contract.
        """
        if top_k is not None:
            check_positive("rerank", "top_k", top_k)
        if score_threshold is not None:
            check_finite("rerank", "score_threshold", score_threshold)
        resources = Resources.of(
            memory_budget, workers, threads, device, dtype, cache_folder, progress
        )
        aligned, query_rows, direction = align(candidates, queries, gallery)
        check_fusable(self.stages[0], aligned)
        context = _context(aligned, queries, gallery, direction, resources)
        check_features(self.stages, context)

        base_ranks = ranks(aligned.base_order())
        current = -base_ranks.astype(np.float64) if aligned.scores is None else aligned.scores
        current_ranks = base_ranks
        traces: list[StageScores] = []
        for stage in self.stages:
            keep = top_k if stage is self.stages[-1] else None
            scores, current = score_stage(
                stage, context, query_rows, current, current_ranks, resources, keep
            )
            order = order_rows(aligned.mask, current, base_ranks, aligned.index)
            current_ranks = ranks(order)
            traces.append(scores)
        return _cut(
            aligned, current, current_ranks, base_ranks, traces, direction, top_k, score_threshold
        )

    def explain(
        self,
        queries: Collection,
        gallery: Collection,
        query_id: str,
        candidate_ids: Sequence[str],
        *,
        threads: int | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        cache_folder: str | Path | None = None,
    ) -> Mapping[str, Sequence[Evidence]]:
        """Return per stage what speaks for each candidate of one query.

        Parameters
        ----------
        queries, gallery
            As for `rerank`.
        query_id, candidate_ids
            The pairs.
        threads, device, dtype, cache_folder
            As for `rerank`.
        """
        resources = Resources.of("1GB", 1, threads, device, dtype, cache_folder, None)
        chosen = Candidates.from_lists(
            {query_id: list(candidate_ids)}, query_ids=[query_id], candidate_ids=gallery.ids
        )
        aligned, query_rows, direction = align(chosen, queries, gallery)
        context = _context(aligned, queries, gallery, direction, resources)
        check_features(self.stages, context)
        return {stage.name: explain_pairs(stage, context, query_rows) for stage in self.stages}

    def __repr__(self) -> str:
        return f"Pipeline({' → '.join(stage.name for stage in self.stages)})"


def _context(
    candidates: Candidates,
    queries: Collection,
    gallery: Collection,
    direction: str,
    resources: Resources,
) -> Context:
    return Context(
        queries=queries,
        gallery=gallery,
        candidates=candidates,
        direction=direction,
        cache_folder=resources.cache_folder,
        memory_budget=resources.memory_budget,
        device=resources.device,
        dtype=resources.dtype,
        threads=resources.threads,
        progress=resources.progress,
    )


def _with_distinct_names(stages: list[Stage]) -> tuple[Stage, ...]:
    """Give numbers to the stages that share a name, so that traces can tell them apart."""
    named: list[Stage] = []
    for stage in stages:
        count = sum(other.name.split("#")[0] == stage.name for other in named)
        if count:
            numbered = replace(stage)
            object.__setattr__(numbered, "name", f"{stage.name}#{count + 1}")
            named.append(numbered)
        else:
            named.append(stage)
    return tuple(named)


def _cut(
    candidates: Candidates,
    scores: NDArray[np.float64],
    score_ranks: NDArray[np.int64],
    base_ranks: NDArray[np.int64],
    stages: Sequence[StageScores],
    direction: str,
    top_k: int | None,
    score_threshold: float | None,
) -> Rankings:
    """Arrange every column by final rank and cut the lists."""
    width = candidates.depth if top_k is None else min(top_k, candidates.depth)
    order = np.argsort(score_ranks, axis=1)[:, :width]
    rows = np.arange(len(order))

    mask = arrange(candidates.mask, order)
    final = arrange(scores, order)
    if score_threshold is not None:
        mask = mask & (final >= score_threshold)
    base = candidates.scores
    return Rankings(
        query_ids=candidates.query_ids,
        candidate_ids=candidates.candidate_ids,
        index=np.where(mask, arrange(candidates.index, order), 0),
        final=np.where(mask, final, np.nan),
        mask=mask,
        base_scores=None if base is None else np.where(mask, arrange(base, order), np.nan),
        base_ranks=np.where(mask, arrange(base_ranks, order), 0),
        stages=tuple(stage.arranged(rows, order).where(mask) for stage in stages),
        direction=direction,
    )
