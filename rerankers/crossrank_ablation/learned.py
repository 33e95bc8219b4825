"""Learned fusions of the longest pipeline: fitted on one split, measured beside its sum."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crossrank._lists.ordering import order_rows, ranks
from crossrank._lists.rankings import Rankings
from crossrank.errors import CrossrankError
from crossrank.evaluation._measures import Measure
from crossrank_ablation.measuring import measure
from crossrank_ablation.run import Outcome, Run
from crossrank_ablation.task import Task
from crossrank_ablation.walk import Failure, Position, follow

METHODS = ("weights", "lambdamart")


def learned(
    run: Run, outcomes: Sequence[Outcome], methods: Sequence[str], measures: Sequence[Measure]
) -> list[Outcome]:
    """Return an outcome for each method, whose scores are those of the longest pipeline's stages.

    `outcomes` are those of all cells of the run, the base first; for methods see
    `crossrank_fuse.fit`.
    """
    done = [each for each in outcomes if each.stages and each.measured is not None]
    if not methods or run.tune is None or not done:
        return []
    whole = max(done, key=lambda each: len(each.stages))
    tune = run.tune.task
    fitted_on = rankings_of(tune, follow(whole.stages, tune, run.tune))
    position = follow(whole.stages, run.task, run.scorings)
    return [
        _outcome(method, whole, fitted_on, tune.qrels, run.task, position, measures)
        for method in methods
    ]


def rankings_of(task: Task, position: Position) -> Rankings:
    """Return where a walk stands as rankings, nothing cut."""
    lists = task.candidates
    order = _order(task, position)
    base = lists.scores
    return Rankings(
        query_ids=lists.query_ids,
        candidate_ids=lists.candidate_ids,
        index=np.take_along_axis(lists.index, order, axis=1),
        final=np.take_along_axis(position.scores, order, axis=1),
        mask=np.take_along_axis(lists.mask, order, axis=1),
        base_scores=None if base is None else np.take_along_axis(base, order, axis=1),
        base_ranks=np.take_along_axis(task.base_ranks, order, axis=1),
        stages=tuple(each.arranged(np.arange(len(lists)), order) for each in position.traces),
        direction=task.direction,
    )


def _outcome(
    method: str,
    whole: Outcome,
    fitted_on: Rankings,
    qrels: Mapping[str, Mapping[str, int]],
    task: Task,
    position: Position,
    measures: Sequence[Measure],
) -> Outcome:
    name = f"{whole.cell.name}, {method}"
    note = f"learned: {method}"
    cell = replace(whole.cell, name=name, note=note, whole=whole.cell.key)
    outcome = Outcome(cell, whole.stages, cost=whole.cost, learned={})
    try:
        fuse: Any = importlib.import_module("crossrank_fuse")
        rule = fuse.fit(fitted_on, qrels, method)
        found = rule.scores(rankings_of(task, position))
    except CrossrankError as error:
        outcome.failure = Failure(str(error))
        return outcome
    outcome.learned = dict(zip(rule.names, rule.weights, strict=False))
    scores = np.empty(position.scores.shape)
    np.put_along_axis(scores, _order(task, position), found, axis=1)
    mask, index = task.candidates.mask, task.candidates.index
    placed = ranks(order_rows(mask, scores, position.ranks, index))
    outcome.measured = measure(task, placed, measures, cell.top_k)
    return outcome


def _order(task: Task, position: Position) -> Any:
    """Return ``[Q, K]`` the places of the candidates, best first, places without one last."""
    last = np.where(task.candidates.mask, position.ranks, np.iinfo(np.int64).max)
    return np.argsort(last, axis=1, kind="stable")
