"""Pipelines: candidates in, rankings out."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from crossrank._engine.checks import align, check_features, check_fusable
from crossrank._engine.cutting import Cuts, cut
from crossrank._engine.deadline import Deadline
from crossrank._engine.description import description_of
from crossrank._engine.durable import RESULT, DurableRun
from crossrank._engine.options import RunChanges, RunOptions
from crossrank._engine.resources import Resources
from crossrank._engine.scoring import explain_pairs, score_stage, skipped_stage
from crossrank._items.collection import Collection
from crossrank._items.item import listed
from crossrank._lists.calibration import Calibration, as_calibration
from crossrank._lists.candidates import Candidates
from crossrank._lists.ordering import order_rows, ranks
from crossrank._lists.rankings import Rankings
from crossrank._lists.showing import Shown
from crossrank._lists.stage_scores import StageScores
from crossrank._lists.weighted_sum import SHORT
from crossrank._stage import Stage, with_distinct_names
from crossrank.errors import InputError
from crossrank.plugin.contract import Context
from crossrank.report._explanation import Explanation

logger = logging.getLogger(__name__)


class Pipeline:
    """Stages that rerank candidate lists one after another.

    Parameters
    ----------
    stages
        At least one; a name stands for ``Stage(name)``.
    calibration
        What ``crossrank calibrate`` made of this pipeline's results, or its file: hits then have a
        probability, and rankings a confidence.

    Examples
    --------
    >>> import crossrank as cr
    >>> pipe = cr.Pipeline([cr.Stage("filip", depth=100), cr.Stage("mack", depth=15)])
    ... # doctest: +SKIP
    """

    def __init__(
        self,
        stages: Sequence[Stage | str] | Stage | str,
        *,
        calibration: Calibration | str | Path | None = None,
    ) -> None:
        if not isinstance(stages, Stage | str | Sequence):
            raise InputError(f"Pipeline: {stages!r:.80} is neither a stage nor a list of stages")
        given = [stages] if isinstance(stages, Stage | str) else list(stages)
        if not given:
            raise InputError("Pipeline: give at least one stage")
        self.stages = with_distinct_names(
            [stage if isinstance(stage, Stage) else Stage(stage) for stage in given]
        )
        self.calibration = None if calibration is None else as_calibration(calibration)
        names = tuple(stage.name for stage in self.stages)
        if self.calibration is not None and self.calibration.stages not in ((), names):
            logger.warning(
                "the calibration was fitted on %s, not on %s; its probabilities may mislead",
                " → ".join(self.calibration.stages),
                " → ".join(names),
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
        min_probability: float | None = None,
        deadline: float | None = None,
        deadline_per: str = "run",
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
        min_probability
            The lowest probability to return, inclusive; for a pipeline with a calibration.
        deadline
            Seconds after which no further stage is begun: lists keep the order they have, and the
            trace says what was skipped.  A stage that was begun in time is finished.
        deadline_per
            ``"run"``, or ``"query"``: that many seconds for each list.
        options, **changes
            How it is computed: a `RunOptions`, or its fields as keywords, which win.

        Raises
        ------
        CrossrankError
            One clear error before any work for input that does not fit, and `PluginError` for a
            plugin that breaks its contract.
        """
        resources = Resources.of(RunOptions.of("rerank", options, changes))
        cuts = Cuts.of(top_k, score_threshold, min_probability, self.calibration)
        limit = Deadline.of(deadline, deadline_per)
        context, query_rows = self._checked(candidates, queries, gallery, resources)
        return self._run(context, query_rows, cuts, resources, None, limit)

    def rerank_to(
        self,
        folder: str | Path,
        candidates: Candidates,
        queries: Collection,
        gallery: Collection,
        *,
        top_k: int | None = None,
        score_threshold: float | None = None,
        min_probability: float | None = None,
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
        candidates, queries, gallery, top_k, score_threshold, min_probability, options, **changes
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
        cuts = Cuts.of(top_k, score_threshold, min_probability, self.calibration)
        context, query_rows = self._checked(candidates, queries, gallery, resources)
        description = description_of(self.stages, context, cuts, resources, self.transductive)
        with DurableRun.open(folder, description, resume) as run:
            result = folder / RESULT
            failures = run.has_failures()
            if result.is_file() and not (failures and resources.on_error == "raise"):
                if not failures:
                    run.forget_blocks()
                return Rankings.open(result)
            try:
                rankings = self._run(context, query_rows, cuts, resources, run)
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
        resources: Resources,
    ) -> tuple[Context, NDArray[np.int64]]:
        """Refuse what does not fit, before any work; return the run and the queries' rows."""
        _refuse_others(
            "rerank",
            candidates=(candidates, Candidates),
            queries=(queries, Collection),
            gallery=(gallery, Collection),
        )
        aligned, query_rows, direction = align(candidates, queries, gallery)
        check_fusable(self.stages[0], aligned)
        context = _context(aligned, queries, gallery, direction, resources)
        check_features(self.stages, context)
        return context, query_rows

    def _run(
        self,
        context: Context,
        query_rows: NDArray[np.int64],
        cuts: Cuts,
        resources: Resources,
        run: DurableRun | None,
        limit: Deadline | None = None,
    ) -> Rankings:
        aligned, start = context.lists, time.perf_counter()
        base_ranks = ranks(aligned.base_order())
        current = -base_ranks.astype(np.float64) if aligned.scores is None else aligned.scores
        current_ranks = base_ranks
        traces: list[StageScores] = []
        for number, stage in enumerate(self.stages):
            late = None if limit is None else limit.passed(start, len(aligned))
            if late is not None:
                logger.warning("stage %r is %s", stage.name, late)
                traces.append(skipped_stage(stage, aligned.mask, current_ranks, late))
                continue
            kept = None if run is None else run.blocks(number, stage.name)
            # a confidence reads scores beyond what is returned
            whole = stage is not self.stages[-1] or self.calibration is not None
            keep = None if whole else cuts.top_k
            scores, current = score_stage(
                stage,
                context,
                query_rows,
                current,
                current_ranks,
                base_ranks,
                resources,
                keep,
                kept,
                self.stages[:number],
            )
            order = order_rows(aligned.mask, current, base_ranks, aligned.index)
            current_ranks = ranks(order)
            traces.append(scores)
        self._tell_short_rows(traces)
        rankings = cut(aligned, current, current_ranks, base_ranks, traces, context.direction, cuts)
        return replace(
            rankings, shown=Shown.of(context.queries, query_rows.tolist(), context.gallery)
        )

    def _tell_short_rows(self, traces: Sequence[StageScores]) -> None:
        """Warn once of lists too short for statistics of their own."""
        for stage, scores in zip(self.stages, traces, strict=True):
            short = stage.fusion.short_rows(~np.isnan(scores.raw))
            if short:
                logger.warning(
                    "stage %r: %d of %d lists hold fewer than %d scored candidates, whose "
                    "statistics say little (those of two are ±1, whatever the scores were); "
                    "WeightedSum(statistics='run') or a calibration's compare scores across "
                    "lists, normalise='none' takes scores of one scale as they are",
                    stage.name,
                    short,
                    len(scores.raw),
                    SHORT,
                )
                return

    def explain(
        self,
        queries: Collection,
        gallery: Collection,
        query_id: str,
        candidate_ids: Sequence[str],
        *,
        options: RunOptions | None = None,
        **changes: Unpack[RunChanges],
    ) -> Explanation:
        """Return per stage what speaks for each candidate of one query.

        A mapping from the stage's name to its `Evidence`, a pair each, whose ``plot()`` draws the
        pictures with a heat map for every word.

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
        _refuse_others("explain", queries=(queries, Collection), gallery=(gallery, Collection))
        chosen = Candidates.from_lists(
            [listed("explain", "ids", candidate_ids)],
            query_ids=[query_id],
            candidate_ids=gallery.ids,
        )
        aligned, query_rows, direction = align(chosen, queries, gallery)
        context = _context(aligned, queries, gallery, direction, resources)
        check_features(self.stages, context)
        found = {stage.name: explain_pairs(stage, context, query_rows) for stage in self.stages}
        return Explanation(found, queries, gallery)

    def __repr__(self) -> str:
        return f"Pipeline({' → '.join(stage.name for stage in self.stages)})"


def _refuse_others(who: str, **given: tuple[object, type]) -> None:
    """Refuse what is no object of its class."""
    for name, (value, kind) in given.items():
        if not isinstance(value, kind):
            raise InputError(
                f"{who}: {name} is a {type(value).__name__}; give a crossrank.{kind.__name__}"
            )


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
