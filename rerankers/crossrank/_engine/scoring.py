"""Running one stage: prepare, score block by block, check what comes back, fuse."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from crossrank._engine.block import feature_bytes, locality
from crossrank._engine.local import score_here
from crossrank._engine.partition import Weights, layout, portions
from crossrank._engine.ray import score_on_ray
from crossrank._engine.resources import Resources
from crossrank._engine.work import BlockWork, gathered, guarded
from crossrank._lists.auto_depth import AutoDepth
from crossrank._lists.candidates import Candidates
from crossrank._lists.evidence import Evidence
from crossrank._lists.fusion import Replace
from crossrank._lists.ordering import arrange, scatter
from crossrank._lists.rankings import StageScores
from crossrank._lists.statistics import Statistics
from crossrank._stage import Stage
from crossrank.errors import CrossrankError
from crossrank.plugin._threads import LIMITS
from crossrank.plugin.contract import Context, Needs, Scores, State

logger = logging.getLogger(__name__)

ENGINES = {"local": score_here, "ray": score_on_ray}
"""Where blocks are scored: all give the same bits on the same processor."""


class KeptBlocks(Protocol):
    """Keeps the scores of a stage's blocks, see `crossrank._engine.durable`."""

    def load(self, rows: range, pairs: str, mask: NDArray[np.bool_]) -> Scores | None:
        """Return the scores of a block of pairs, None if they are not there."""

    def save(self, rows: range, pairs: str, scores: Scores) -> None:
        """Keep the scores of a block of pairs."""

    def failed(self, rows: range, error: str) -> None:
        """Note that there are none."""


def score_stage(
    stage: Stage,
    context: Context,
    query_rows: NDArray[np.int64],
    current: NDArray[np.float64],
    current_ranks: NDArray[np.int64],
    base_ranks: NDArray[np.int64],
    resources: Resources,
    keep: int | None,
    kept: KeptBlocks | None = None,
    before: tuple[Stage, ...] = (),
) -> tuple[StageScores, NDArray[np.float64]]:
    """Score what the stage sees of every list and fuse.

    Parameters
    ----------
    stage, context
        What to run, over which candidates.
    query_rows
        ``[Q]`` the row of each query in ``context.queries``.
    current, current_ranks
        ``[Q, K]`` scores and ranks before this stage.
    base_ranks
        ``[Q, K]`` ranks before any stage.
    resources
        See `Resources`.
    keep
        How many of each list will be returned; set for the last stage.
    kept
        See `score_lists`.
    before
        The stages before this one.

    Returns
    -------
    tuple
        The stage's own scores and ``[Q, K]`` the fused ones.
    """
    candidates = context.lists
    seen = seen_places(stage, candidates.mask, current_ranks, current, base_ranks)
    order, part = cut_lists(candidates, seen, current_ranks)
    context = replace(context, lists=part, before=before, previous=arrange(current, order))
    with LIMITS.held_to(resources.threads):
        state = prepare(stage, context)
    screens = keep is not None and isinstance(stage.fusion, Replace) and keep < part.depth
    raw, reasons = score_lists(
        stage, context, state, query_rows, resources, keep if screens else None, kept
    )
    spread = scatter(raw, order, np.full(seen.shape, np.float32(np.nan)))
    return fuse_stage(stage, spread, reasons, candidates.mask, seen, current, current_ranks)


def seen_places(
    stage: Stage,
    mask: NDArray[np.bool_],
    current_ranks: NDArray[np.int64],
    current: NDArray[np.float64],
    base_ranks: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return ``[Q, K]`` the taken places that lie within a stage's depth.

    Parameters
    ----------
    stage
        Whose depth; a rule reads the rest.
    mask, current_ranks, current, base_ranks
        ``[Q, K]`` the taken places, ranks and scores before the stage, and the base's ranks.
    """
    if isinstance(stage.depth, AutoDepth):
        depths = stage.depth.of(mask, current, current_ranks, base_ranks)
        return mask & (current_ranks <= depths[:, None])
    return within(stage, mask, current_ranks)


def within(
    stage: Stage, mask: NDArray[np.bool_], current_ranks: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return ``[Q, K]`` the taken places that a stage may see at most."""
    return mask if stage.deepest is None else mask & (current_ranks <= stage.deepest)


def skipped_stage(
    stage: Stage, mask: NDArray[np.bool_], current_ranks: NDArray[np.int64], reason: str
) -> StageScores:
    """Return the record of a stage that was not run, and why."""
    nothing = np.full(mask.shape, np.nan, np.float32)
    seen = within(stage, mask, current_ranks)
    reasons = (reason,) * len(mask)
    return StageScores(
        stage.name, nothing, nothing.astype(np.float64), seen, stage.fusion.weight, reasons
    )


def score_lists(
    stage: Stage,
    context: Context,
    state: State,
    query_rows: NDArray[np.int64],
    resources: Resources,
    keep: int | None = None,
    kept: KeptBlocks | None = None,
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Score every pair of some lists, block by block.

    Parameters
    ----------
    stage, context, state
        What to run, over ``context.lists``, with what `prepare` returned.
    query_rows
        ``[Q]`` the row of each list's query in ``context.queries``.
    resources, keep
        See `Resources` and `Block`.
    kept
        Where scores of blocks are kept, if they are.

    Returns
    -------
    tuple
        ``[Q, K]`` raw scores, NaN where there is none, and per query why the stage abstained.
    """
    part = context.lists
    needs = stage.scorer.needs(context).of_blocks()
    stored = context.gallery.is_stored(needs.candidates)
    order = locality(part.index, part.mask) if stored else np.arange(len(part))
    weights = Weights(
        part.index[order],
        part.mask[order],
        feature_bytes(context.queries, needs.queries)[query_rows[order]],
        feature_bytes(context.gallery, needs.candidates),
    )
    query_ids = [part.query_ids[row] for row in order]
    blocks = layout(weights, resources.memory_budget, query_ids)
    cuts = {rows.start: portions(weights, rows) for rows in blocks}
    work = BlockWork(stage, context, state, needs, query_rows, order, cuts, keep)
    raw = np.full(part.index.shape, np.nan, np.float32)
    reasons = [""] * len(part)
    finished = 0

    def take(rows: range, scores: Scores) -> None:
        nonlocal finished
        lists = work.lists(rows)
        opinion = part.mask[lists]
        if scores.abstained is not None:
            for row in lists[(scores.abstained & opinion).any(axis=1)]:
                reasons[row] = scores.reason
            opinion = opinion & ~scores.abstained
        raw[lists] = np.where(opinion, scores.values, np.nan)
        finished += len(rows)
        resources.progress(f"rerank: {stage.name}", finished, len(part))

    todo = []
    for rows in blocks:
        taken = part.mask[work.lists(rows)]
        known = None if kept is None else kept.load(rows, work.pairs(rows), taken)
        if known is None:
            todo.append(rows)
        else:
            take(rows, known)
    with closing(ENGINES[resources.engine](work, todo, resources)) as scored:
        for rows, outcome in scored:
            if isinstance(outcome, CrossrankError):
                if resources.on_error == "raise":
                    raise outcome
                logger.warning("%s; these queries keep their order", outcome)
                if kept is not None:
                    kept.failed(rows, str(outcome))
                silent = np.ones(part.mask[work.lists(rows)].shape, np.bool_)
                take(rows, Scores(np.zeros(silent.shape, np.float32), silent, str(outcome)))
                continue
            if kept is not None:
                kept.save(rows, work.pairs(rows), outcome)
            take(rows, outcome)
    return raw, tuple(reasons)


def fuse_stage(
    stage: Stage,
    raw: NDArray[np.float32],
    reasons: tuple[str, ...],
    mask: NDArray[np.bool_],
    seen: NDArray[np.bool_],
    current: NDArray[np.float64],
    current_ranks: NDArray[np.int64],
) -> tuple[StageScores, NDArray[np.float64]]:
    """Fuse a stage's raw scores with the scores before it; all arrays are ``[Q, K]``.

    Parameters
    ----------
    stage
        Whose fusion.
    raw, reasons
        As `score_lists` returns them, in the places of `mask`.
    mask, seen
        The taken places, and those within the stage's depth.
    current, current_ranks
        Scores and ranks before this stage.
    """
    scored = ~np.isnan(raw)
    fused = stage.fusion.fuse(current, current_ranks, raw.astype(np.float64), mask, seen, scored)
    normalised = np.where(scored, fused.normalised, np.nan)
    record = StageScores(
        stage.name,
        raw,
        normalised,
        seen,
        stage.fusion.weight,
        reasons,
        Statistics.of(current, raw, scored),
    )
    return record, fused.scores


def explain_pairs(
    stage: Stage, context: Context, query_rows: NDArray[np.int64]
) -> Sequence[Evidence]:
    """Return a stage's evidence for all pairs of a few queries."""
    state = prepare(stage, context)
    needs = stage.scorer.needs(context)
    extra = stage.scorer.info.explain_features
    more = Needs(
        tuple(dict.fromkeys((*needs.queries, *(f for f in extra if f in context.queries)))),
        tuple(dict.fromkeys((*needs.candidates, *(f for f in extra if f in context.gallery)))),
        previous=needs.previous,
    )
    block = gathered(context, more, query_rows, np.arange(len(query_rows)))
    evidence = guarded(stage, "explain", lambda: stage.scorer.explain(block, state), block)
    return tuple(evidence)


def cut_lists(
    candidates: Candidates, seen: NDArray[np.bool_], current_ranks: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Candidates]:
    """Cut the lists to what is seen, by rank, and return the places that this was, and them."""
    width = int(seen.sum(axis=1).max(initial=0))
    order = np.argsort(current_ranks, axis=1)[:, :width]
    scores = candidates.scores
    part = replace(
        candidates,
        index=arrange(candidates.index, order),
        mask=arrange(seen, order),
        scores=None if scores is None else arrange(scores, order),
    )
    return order, part


def prepare(stage: Stage, context: Context) -> State:
    """Let a stage's reranker compute what all blocks share."""
    return guarded(stage, "prepare", lambda: stage.scorer.prepare(context), None)
