"""Running one stage: prepare, score block by block, check what comes back, fuse."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from crossrank.blocks import ReadAhead, feature_bytes, layout, locality, make_block, run_blocks
from crossrank.candidates import Candidates
from crossrank.contract import Block, Context, Needs, Scores, State
from crossrank.errors import CrossrankError, MissingFeatureError, PluginError, ScoreError
from crossrank.evidence import Evidence
from crossrank.fingerprint import fingerprint
from crossrank.fusion import Replace
from crossrank.ordering import arrange, scatter
from crossrank.rankings import StageScores
from crossrank.resources import Resources
from crossrank.stage import Stage

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class KeptBlocks(Protocol):
    """Keeps the scores of a stage's blocks, see `crossrank.durable`."""

    def load(self, rows: range, pairs: str) -> Scores | None:
        """Return the scores of a block of pairs, None if they are not there."""

    def save(self, rows: range, pairs: str, scores: Scores) -> None:
        """Keep the scores of a block of pairs."""


def score_stage(
    stage: Stage,
    context: Context,
    query_rows: NDArray[np.int64],
    current: NDArray[np.float64],
    current_ranks: NDArray[np.int64],
    resources: Resources,
    keep: int | None,
    kept: KeptBlocks | None = None,
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
    resources
        See `Resources`.
    keep
        How many of each list will be returned; set for the last stage.
    kept
        See `score_lists`.

    Returns
    -------
    tuple
        The stage's own scores and ``[Q, K]`` the fused ones.
    """
    candidates = context.candidates
    seen = seen_places(stage, candidates.mask, current_ranks)
    order, part = cut_lists(candidates, seen, current_ranks)
    context = replace(context, candidates=part)
    state = prepare(stage, context)
    screens = keep is not None and isinstance(stage.fusion, Replace) and keep < part.depth
    raw, reasons = score_lists(
        stage, context, state, query_rows, resources, keep if screens else None, kept
    )
    spread = scatter(raw, order, np.full(seen.shape, np.float32(np.nan)))
    return fuse_stage(stage, spread, reasons, candidates.mask, seen, current, current_ranks)


def seen_places(
    stage: Stage, mask: NDArray[np.bool_], current_ranks: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return ``[Q, K]`` the taken places that lie within a stage's depth."""
    return mask if stage.depth is None else mask & (current_ranks <= stage.depth)


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
        What to run, over ``context.candidates``, with what `prepare` returned.
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
    part = context.candidates
    needs = stage.scorer.needs(context).of_blocks()
    workers = resources.workers if stage.scorer.info.thread_safe else 1
    stored = context.gallery.is_stored(needs.candidates)
    order = locality(part.index, part.mask) if stored else np.arange(len(part))
    blocks = layout(
        part.index[order],
        part.mask[order],
        feature_bytes(context.queries, needs.queries)[query_rows[order]],
        feature_bytes(context.gallery, needs.candidates),
        resources.memory_budget,
        [part.query_ids[row] for row in order],
    )
    raw = np.full(part.index.shape, np.nan, np.float32)
    reasons = [""] * len(part)
    finished = 0

    def read(rows: range) -> Block | None:
        lists = order[rows.start : rows.stop]
        if not part.mask[lists].any():
            return None
        return _block(context, needs, query_rows, lists, keep)

    def done(count: int) -> None:
        nonlocal finished
        finished += count
        resources.progress(f"rerank: {stage.name}", finished, len(part))

    def take(rows: range, scores: Scores) -> None:
        lists = order[rows.start : rows.stop]
        pairs = part.mask[lists]
        opinion = pairs
        if scores.abstained is not None:
            opinion = pairs & ~scores.abstained
            for row in lists[(scores.abstained & pairs).any(axis=1)]:
                reasons[row] = scores.reason
        raw[lists] = np.where(opinion, scores.values, np.nan)

    def digest(rows: range) -> str:
        lists = order[rows.start : rows.stop]
        pairs = part.mask[lists]
        return fingerprint([query_rows[lists], pairs, np.where(pairs, part.index[lists], 0), keep])

    todo = []
    for rows in blocks:
        known = None if kept is None else kept.load(rows, digest(rows))
        if known is None:
            todo.append(rows)
        else:
            take(rows, known)
            done(len(rows))
    # what lies on disk is read while the block before is scored
    ahead = ReadAhead(read, todo) if stored and workers == 1 and len(todo) > 1 else None

    def work(rows: range) -> Scores:
        block = read(rows) if ahead is None else ahead(rows)
        if block is None:
            return Scores(np.zeros(part.mask[rows.start : rows.stop].shape, np.float32))
        try:
            scores = checked_scores(stage, block, state)
        except PluginError as error:
            if resources.on_error == "raise":
                raise
            logger.warning("%s; these queries keep their order", error)
            nothing = np.zeros(block.mask.shape, np.float32)
            return Scores(nothing, np.ones(block.mask.shape, np.bool_), str(error))
        if kept is not None:
            kept.save(rows, digest(rows), scores)
        return scores

    try:
        for rows, scores in run_blocks(work, todo, workers, done):
            take(rows, scores)
    finally:
        if ahead is not None:
            ahead.close()
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
    record = StageScores(stage.name, raw, normalised, seen, stage.fusion.weight, reasons)
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
    )
    block = _block(context, more, query_rows, np.arange(len(query_rows)), None)
    found = _guarded(stage, "explain", lambda: stage.scorer.explain(block, state), block)
    return tuple(found)


def checked_scores(stage: Stage, block: Block, state: State) -> Scores:
    """Call a scorer and hold what it returns against the contract.

    Raises
    ------
    PluginError
        If it raises.
    ScoreError
        If it returns the wrong type, shape or dtype, or a score that is not finite.
    """
    scores = _guarded(stage, "score", lambda: stage.scorer.score(block, state), block)
    who = f"the reranker {stage.name!r}"
    if not isinstance(scores, Scores):
        raise ScoreError(f"{who} returned a {type(scores).__name__}; score() must return Scores")
    values, abstained = scores.values, scores.abstained
    if not isinstance(values, np.ndarray) or values.dtype != np.float32:
        found = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        raise ScoreError(f"{who} returned scores of {found}; they must be a float32 array")
    if values.shape != block.mask.shape:
        raise ScoreError(
            f"{who} returned scores of shape {values.shape} for a block of {block.mask.shape}"
        )
    counts = block.mask
    if abstained is not None:
        if not isinstance(abstained, np.ndarray) or abstained.dtype != np.bool_:
            raise ScoreError(f"{who} returned an abstain mask that is not a bool array")
        if abstained.shape != block.mask.shape:
            raise ScoreError(
                f"{who} returned an abstain mask of shape {abstained.shape} "
                f"for a block of {block.mask.shape}"
            )
        counts = counts & ~abstained
    wrong = counts & ~np.isfinite(values)
    if wrong.any():
        row, place = np.argwhere(wrong)[0]
        raise ScoreError(
            f"{who} gave {values[row, place]} to query {block.queries.ids[row]!r} and candidate "
            f"{block.candidates.ids[block.index[row, place]]!r}; scores must be finite "
            "(abstain where there is none)"
        )
    return scores


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
    return _guarded(stage, "prepare", lambda: stage.scorer.prepare(context), None)


def _block(
    context: Context,
    needs: Needs,
    query_rows: NDArray[np.int64],
    lists: NDArray[np.int64],
    keep: int | None,
) -> Block:
    candidates = context.candidates
    return make_block(
        query_rows[lists],
        candidates.index[lists],
        candidates.mask[lists],
        None if candidates.scores is None else candidates.scores[lists],
        context.queries,
        context.gallery,
        needs,
        context.direction,
        keep,
    )


def _guarded(stage: Stage, what: str, call: Callable[[], Result], block: Block | None) -> Result:
    try:
        return call()
    except MissingFeatureError as error:
        if block is None:
            raise
        raise PluginError(
            f"the reranker {stage.name!r} read in {what}() a feature that its info or needs() does "
            f"not name: {error}"
        ) from error
    except CrossrankError:
        raise
    except Exception as error:
        where = ""
        if block is not None and len(block.queries):
            where = f" on queries {block.queries.ids[0]!r} to {block.queries.ids[-1]!r}"
        hint = "; a block is read-only" if "read-only" in str(error) else ""
        raise PluginError(
            f"the reranker {stage.name!r} failed in {what}(){where}: "
            f"{type(error).__name__}: {error}{hint}"
        ) from error
