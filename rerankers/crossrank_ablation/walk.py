"""Walking the tree of runs over one task: score what is missing, fuse, measure the cells."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from crossrank._engine.checks import check_features, check_fusable
from crossrank._engine.scoring import fuse_stage, seen_places
from crossrank._lists.auto_depth import AutoDepth
from crossrank._lists.ordering import order_rows, ranks
from crossrank._lists.stage_scores import StageScores
from crossrank._stage import Stage
from crossrank.errors import CrossrankError, OrientationError, StoreError
from crossrank_ablation.scorings import Scorings, scorer_key
from crossrank_ablation.settings import StageSettings
from crossrank_ablation.spent import Spent
from crossrank_ablation.task import Task
from crossrank_ablation.tree import ROOT, Tree, grow


@dataclass(frozen=True, slots=True, eq=False)
class Position:
    """Where a walk stands: the lists after some stages; arrays are ``[Q, K]``.

    Scores and ranks are those after the last one, `looked_at` is what any has seen; `spent` is what
    the scores of the last one took, `fusing_seconds` what all fusions so far did.
    """

    scores: NDArray[np.float64]
    ranks: NDArray[np.int64]
    traces: tuple[StageScores, ...]
    looked_at: NDArray[np.bool_]
    stages: tuple[Stage, ...] = ()
    spent: Spent = field(default_factory=Spent)
    fusing_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run has no result; `applies` is False where a reranker does not do the direction."""

    reason: str
    applies: bool = True


def base_position(task: Task) -> Position:
    """Return where every walk starts."""
    nothing = np.zeros(task.candidates.mask.shape, np.bool_)
    return Position(task.base_scores, task.base_ranks, (), nothing)


def step(position: Position, stage: Stage, task: Task, scorings: Scorings) -> Position:
    """Return the position after one more stage."""
    if not position.stages:
        check_fusable(stage, task.candidates)
    check_features([stage], scorings.context)
    mask = task.candidates.mask
    seen = seen_places(stage, mask, position.ranks, position.scores, task.base_ranks)
    raw, reasons, spent = scorings.raw(
        stage, seen, position.ranks, position.scores, position.stages
    )
    start = time.perf_counter()
    trace, fused = fuse_stage(stage, raw, reasons, mask, seen, position.scores, position.ranks)
    after = ranks(order_rows(mask, fused, task.base_ranks, task.candidates.index))
    return Position(
        fused,
        after,
        (*position.traces, trace),
        position.looked_at | seen,
        (*position.stages, stage),
        spent,
        position.fusing_seconds + time.perf_counter() - start,
    )


def walk(
    pipelines: Sequence[tuple[StageSettings, ...]],
    task: Task,
    scorings: Scorings,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[tuple[list[int], Position | Failure, Spent]]:
    """Run pipelines, shared beginnings once, and yield each as soon as it is there.

    That is the places of equal pipelines in `pipelines`, the position after them or why there is
    none, and what was spent since the last one.
    """
    tree = grow(pipelines, [str(place) for place in range(len(pipelines))])
    built: dict[str, Stage | Failure] = {}
    scorings.foresee(_deepest(tree, built))
    total, finished = len(tree) - 1, 0
    spent = Spent()
    # a stack instead of recursion, first child on top, so that the order is that of the grid
    waiting: list[tuple[str, Position | Failure]] = [(ROOT, base_position(task))]
    while waiting:
        node, before = waiting.pop()
        here: Position | Failure = before
        stage = tree[node].stage
        if stage is not None:  # every node but the base
            here = _arrive(before, stage, task, scorings, built)
            finished += 1
            progress(finished, total)
            if isinstance(here, Position):
                spent += here.spent
        places = [int(place) for place in tree[node].cells]
        if places:
            yield places, here, spent
            spent = Spent()
        waiting.extend((child, here) for child in reversed(tree[node].children))


def follow(stages: Sequence[StageSettings], task: Task, scorings: Scorings) -> Position:
    """Return the position after one pipeline."""
    position = base_position(task)
    for settings in stages:
        position = step(position, settings.build(), task, scorings)
    return position


def _arrive(
    before: Position | Failure,
    settings: StageSettings,
    task: Task,
    scorings: Scorings,
    built: dict[str, Stage | Failure],
) -> Position | Failure:
    if isinstance(before, Failure):
        return before
    stage = _built(settings, built)
    if isinstance(stage, Failure):
        return stage
    try:
        return step(before, stage, task, scorings)
    except StoreError:
        raise
    except OrientationError as error:
        return Failure(str(error), applies=False)
    except CrossrankError as error:
        return Failure(str(error))


def _deepest(tree: Tree, built: dict[str, Stage | Failure]) -> dict[str, int | None]:
    """Return per scorer that is first somewhere how deep its deepest list is."""
    deepest: dict[str, int | None] = {}
    first = [tree[node].stage for node in tree[ROOT].children]
    for settings in first:
        stage = None if settings is None else _built(settings, built)
        if isinstance(stage, Stage):
            key = scorer_key(stage)
            before = deepest.get(key, 0)
            # a rule looks at scores that are not there yet: what it needs is scored then
            depth = 0 if isinstance(stage.depth, AutoDepth) else stage.depth
            whole = before is None or depth is None
            deepest[key] = None if whole else max(before or 0, int(depth or 0))
    return deepest


def _built(settings: StageSettings, built: dict[str, Stage | Failure]) -> Stage | Failure:
    key = settings.key
    if key not in built:
        try:
            built[key] = settings.build()
        except CrossrankError as error:
            built[key] = Failure(str(error))
    return built[key]
