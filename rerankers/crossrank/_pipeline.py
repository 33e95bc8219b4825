"""Pipelines: candidates in, rankings out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from crossrank._engine.block import block_bytes
from crossrank._engine.checks import align, check_features, check_fusable
from crossrank._engine.durable import RESULT, DurableRun
from crossrank._engine.identity import identity
from crossrank._engine.options import RunChanges, RunOptions
from crossrank._engine.resources import Resources
from crossrank._engine.scoring import explain_pairs, score_stage
from crossrank._items.collection import Collection
from crossrank._items.fingerprint import fingerprint
from crossrank._lists.base_lists import check_positive
from crossrank._lists.candidates import Candidates
from crossrank._lists.evidence import Evidence
from crossrank._lists.fusion import check_finite
from crossrank._lists.ordering import arrange, order_rows, ranks
from crossrank._lists.rankings import Rankings
from crossrank._lists.stage_scores import StageScores
from crossrank._stage import Stage
from crossrank.errors import InputError
from crossrank.plugin.contract import Context

logger = logging.getLogger(__name__)


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
        if not isinstance(stages, Stage | str | Sequence):
            raise InputError(f"Pipeline: {stages!r} is neither a stage nor a list of stages")
        given = [stages] if isinstance(stages, Stage | str) else list(stages)
        if not given:
            raise InputError("Pipeline: give at least one stage")
        self.stages = _with_distinct_names(
            [stage if isinstance(stage, Stage) else Stage(stage) for stage in given]
        )

    @property
    def transductive(self) -> bool:
        """Whether a query's result depends on the run's other queries."""
        return any(
            stage.scorer.info.transductive or stage.fusion.transductive for stage in self.stages
        )

    def rerank(
        self,
        candidates: Candidates,
        queries: Collection,
        gallery: Collection,
        *,
        top_k: int | None = None,
        score_threshold: float | None = None,
        options: RunOptions | None = None,
        **changes: Unpack[RunChanges],
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
        options, **changes
            How it is computed: a `RunOptions`, or its fields as keywords, which win.

        Raises
        ------
        CrossrankError
            One clear error before any work for input that does not fit, and `PluginError` for a
            plugin that breaks its contract.
        """
        resources = Resources.of(RunOptions.of("rerank", options, changes))
        context, query_rows = self._checked(
            candidates, queries, gallery, top_k, score_threshold, resources
        )
        return self._run(context, query_rows, top_k, score_threshold, resources, None)

    def rerank_to(
        self,
        folder: str | Path,
        candidates: Candidates,
        queries: Collection,
        gallery: Collection,
        *,
        top_k: int | None = None,
        score_threshold: float | None = None,
        resume: bool = True,
        options: RunOptions | None = None,
        **changes: Unpack[RunChanges],
    ) -> Rankings:
        """Rerank every list in a folder: whatever ends the run, the next call goes on from there.

        Finished blocks are on disk, each with a digest; one that is missing or corrupt is scored
        again, and nothing else is.  When all are there, the result is
        ``rankings.safetensors`` (`Rankings.open`), equal to that of a run that was not stopped.

        Parameters
        ----------
        folder
            A new one, or that of the same run: what is run is recognised by fingerprints.
        candidates, queries, gallery, top_k, score_threshold, options, **changes
            As for `rerank`.
        resume
            Whether to go on with a run that is in the folder; otherwise that is an error.

        Raises
        ------
        StoreError
            If the folder holds another run, is in use by another process, or cannot be written.
        CrossrankError
            As for `rerank`.
        """
        folder = Path(folder)
        resources = Resources.of(RunOptions.of("rerank_to", options, changes))
        context, query_rows = self._checked(
            candidates, queries, gallery, top_k, score_threshold, resources
        )
        described = self._described(context, top_k, score_threshold, resources)
        with DurableRun.open(folder, described, resume) as run:
            result = folder / RESULT
            failures = run.has_failures()
            if result.is_file() and not (failures and resources.on_error == "raise"):
                if not failures:
                    run.forget_blocks()
                return Rankings.open(result)
            try:
                rankings = self._run(context, query_rows, top_k, score_threshold, resources, run)
            except KeyboardInterrupt:
                logger.warning("stopped; the same call goes on with %s", folder)
                raise
            rankings.save(result)
            if not run.has_failures():
                run.forget_blocks()
        return rankings

    def _checked(
        self,
        candidates: Candidates,
        queries: Collection,
        gallery: Collection,
        top_k: int | None,
        score_threshold: float | None,
        resources: Resources,
    ) -> tuple[Context, NDArray[np.int64]]:
        """Refuse what does not fit, before any work; return the run and the queries' rows."""
        for name, value, kind in (
            ("candidates", candidates, Candidates),
            ("queries", queries, Collection),
            ("gallery", gallery, Collection),
        ):
            if not isinstance(value, kind):
                raise InputError(
                    f"rerank: {name} is a {type(value).__name__}; give a crossrank.{kind.__name__}"
                )
        if top_k is not None:
            check_positive("rerank", "top_k", top_k)
        if score_threshold is not None:
            check_finite("rerank", "score_threshold", score_threshold)
        aligned, query_rows, direction = align(candidates, queries, gallery)
        check_fusable(self.stages[0], aligned)
        context = _context(aligned, queries, gallery, direction, resources)
        check_features(self.stages, context)
        return context, query_rows

    def _run(
        self,
        context: Context,
        query_rows: NDArray[np.int64],
        top_k: int | None,
        score_threshold: float | None,
        resources: Resources,
        run: DurableRun | None,
    ) -> Rankings:
        aligned = context.lists
        base_ranks = ranks(aligned.base_order())
        current = -base_ranks.astype(np.float64) if aligned.scores is None else aligned.scores
        current_ranks = base_ranks
        traces: list[StageScores] = []
        for number, stage in enumerate(self.stages):
            kept = None if run is None else run.blocks(number, stage.name)
            keep = top_k if stage is self.stages[-1] else None
            scores, current = score_stage(
                stage,
                context,
                query_rows,
                current,
                current_ranks,
                resources,
                keep,
                kept,
                self.stages[:number],
            )
            order = order_rows(aligned.mask, current, base_ranks, aligned.index)
            current_ranks = ranks(order)
            traces.append(scores)
        cuts = top_k, score_threshold
        return _cut(aligned, current, current_ranks, base_ranks, traces, context.direction, *cuts)

    def _described(
        self,
        context: Context,
        top_k: int | None,
        score_threshold: float | None,
        resources: Resources,
    ) -> dict[str, Any]:
        """Return what makes a run this run, in JSON."""
        lists = context.lists
        scores = None if lists.scores is None else np.where(lists.mask, lists.scores, 0.0)
        index = np.where(lists.mask, lists.index, 0)
        return {
            "crossrank": version("crossrank"),
            "candidates": fingerprint(
                [lists.query_ids, lists.candidate_ids, context.direction, lists.mask, index, scores]
            ),
            "queries": context.queries.fingerprint(),
            "gallery": context.gallery.fingerprint(),
            "stages": [
                [
                    each.name,
                    identity(each.scorer) or each.scorer.fingerprint(),
                    each.depth,
                    repr(each.fusion),
                ]
                for each in self.stages
            ],
            **({"looks_at_other_queries": True} if self.transductive else {}),
            "top_k": top_k,
            "score_threshold": score_threshold,
            "block_bytes": block_bytes(resources.memory_budget),
            "device": resources.device,
            "dtype": resources.dtype,
            "threads": resources.threads,
        }

    def explain(
        self,
        queries: Collection,
        gallery: Collection,
        query_id: str,
        candidate_ids: Sequence[str],
        *,
        options: RunOptions | None = None,
        **changes: Unpack[RunChanges],
    ) -> Mapping[str, Sequence[Evidence]]:
        """Return per stage what speaks for each candidate of one query.

        Parameters
        ----------
        queries, gallery
            As for `rerank`.
        query_id, candidate_ids
            The pairs.
        options, **changes
            As for `rerank`; the pairs of one query are scored by one worker.
        """
        resources = Resources.of(RunOptions.of("explain", options, changes))
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
        lists=candidates,
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
    taken = {stage.name for stage in stages}
    named: list[Stage] = []
    for stage in stages:
        if any(other.name == stage.name for other in named):
            number = 2
            while f"{stage.name}#{number}" in taken:
                number += 1
            taken.add(f"{stage.name}#{number}")
            named.append(replace(stage, name=f"{stage.name}#{number}"))
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
