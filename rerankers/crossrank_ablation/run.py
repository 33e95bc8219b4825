"""Running the cells of one encoder and direction: choosing on one split, measuring on the other."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crossrank._files.trec import write_run
from crossrank._lists.ordering import by_rank, order_rows, ranks
from crossrank._lists.weighted_sum import WeightedSum
from crossrank.evaluation._measures import Measure
from crossrank.plugin.contract import Progress
from crossrank_ablation.cost import Cost
from crossrank_ablation.grid import settings_of
from crossrank_ablation.measuring import Measured, better, measure, summed_up
from crossrank_ablation.plan import Study
from crossrank_ablation.scorings import Scorings
from crossrank_ablation.settings import Cell, StageSettings, shown
from crossrank_ablation.spent import Spent
from crossrank_ablation.task import Task
from crossrank_ablation.walk import Failure, Position, base_position, walk

TESTING_SECONDS = 0.02
"""What metrics and tests of a cell take at least, for the estimate."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """The cells of one encoder in one direction, in the table's order.

    Settings are chosen on `tune`; None where nothing is chosen.
    """

    task: Task
    scorings: Scorings
    cells: Sequence[Cell]
    tune: Scorings | None = None


@dataclass(slots=True, eq=False)
class Outcome:
    """What became of one cell.

    Parameters
    ----------
    cell, stages
        What was run; the stages with what was chosen.
    measured
        None where it failed.
    failure
        Why.
    spent, cost
        What it took.
    run
        Where its run file lies.
    learned
        What a learned fusion weighs by name; None where fusions are those of the stages.
    transductive
        Whether its scores depend on the other queries.
    ceiling
        The share of queries, in per cent, with a relevant candidate among those that its last
        stage saw; None without a stage.
    """

    cell: Cell
    stages: tuple[StageSettings, ...]
    measured: Measured | None = None
    failure: Failure | None = None
    spent: Spent = field(default_factory=Spent)
    cost: Cost = field(default_factory=Cost)
    run: str = ""
    learned: Mapping[str, float] | None = None
    transductive: bool = False
    ceiling: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What was chosen on the other split: every cell's stages, and by place why one has none.

    `tried` is a record of every setting, `spent` what it took.
    """

    stages: list[tuple[StageSettings, ...]]
    failures: dict[int, str]
    tried: list[dict[str, Any]]
    spent: Spent


def chosen_on(
    scorings: Scorings,
    cells: Sequence[Cell],
    plan: Study,
    measures: Sequence[Measure],
    progress: Progress,
) -> Choice:
    """Choose the settings of every cell on the other split."""
    task = scorings.task
    points = [
        (place, stages)
        for place, cell in enumerate(cells)
        for stages in settings_of(cell, plan.tune_axes)
    ]
    values: dict[int, dict[str, float]] = {}
    failures: dict[int, str] = {}
    what = f"ablate: choose on tune {task.direction}"
    found = walk(
        [stages for _, stages in points],
        task,
        scorings,
        lambda done, total: progress(what, done, total),
    )
    total = Spent()
    for places, position, spent in found:
        total += spent
        for point in places:
            if isinstance(position, Failure):
                failures[point] = position.reason
                continue
            measured = measure(task, position.ranks, measures, cells[points[point][0]].top_k)
            rows = measured.values(measures, task.candidates.depth + 1)
            values[point] = summed_up(measures, rows)
    signs = better(measures)

    def worth(point: int) -> tuple[float, float, int]:
        numbers = np.array(list(values[point].values())) * signs
        return float(numbers[0]), float(numbers[1:].sum()), -point

    members: list[list[int]] = [[] for _ in cells]
    for point, (place, _) in enumerate(points):
        members[place].append(point)
    chosen, failed, tried = [], {}, []
    for place, cell in enumerate(cells):
        own = members[place]
        done = [point for point in own if point in values]
        best = max(done, key=worth, default=None)
        chosen.append(cell.stages if best is None else points[best][1])
        if best is None:
            failed[place] = failures[own[0]]
        tried += [
            {
                "direction": task.direction,
                "encoder": task.encoder,
                "cell": cell.name,
                "chosen": point == best,
                "settings": picked(points[point][1], plan),
                "metrics": values.get(point),
                "error": failures.get(point, ""),
            }
            for point in own
        ]
    return Choice(chosen, failed, tried, total)


def measured_on(
    run: Run,
    stages: Sequence[tuple[StageSettings, ...]],
    failed: dict[int, str],
    measures: Sequence[Measure],
    runs_folder: Path | None,
    progress: Progress,
) -> list[Outcome]:
    """Run and measure the base and every cell; the base comes first."""
    task = run.task
    start = base_position(task)
    base = Outcome(Cell((), task.encoder), (), measure(task, start.ranks, measures))
    outcomes = [
        Outcome(cell, own, failure=Failure(failed[place]) if place in failed else None)
        for place, (cell, own) in enumerate(zip(run.cells, stages, strict=True))
    ]
    if runs_folder is not None:
        base.run = _keep(runs_folder, 0, task, start, None)
    going = [place for place in range(len(outcomes)) if place not in failed]
    what = f"ablate: run {task.direction}"
    for places, position, spent in walk(
        [stages[place] for place in going],
        task,
        run.scorings,
        lambda done, total: progress(what, done, total),
    ):
        for number in places:
            outcome = outcomes[going[number]]
            outcome.spent = spent
            spent = Spent()
            if isinstance(position, Failure):
                outcome.failure = position
                continue
            outcome.measured = measure(task, position.ranks, measures, outcome.cell.top_k)
            outcome.cost = _cost(position, run.scorings)
            outcome.transductive = any(
                stage.scorer.info.transductive or stage.fusion.transductive
                for stage in position.stages
            )
            if position.traces:
                outcome.ceiling = task.ceiling(position.traces[-1].seen)
            if runs_folder is not None:
                cut = outcome.cell.top_k
                outcome.run = _keep(runs_folder, 1 + going[number], task, position, cut)
    return [base, *outcomes]


def estimate(task: Task, total: int, scorers: int) -> str:
    """Say what a study would take, from one fusion on its own data."""
    start = time.perf_counter()
    mask, scores = task.candidates.mask, task.base_scores
    fused = WeightedSum(1.0).fuse(scores, task.base_ranks, scores, mask, mask, mask)
    ranks(order_rows(mask, fused.scores, task.base_ranks, task.candidates.index))
    seconds = total * (time.perf_counter() - start + TESTING_SECONDS)
    pairs = int(mask.sum())
    duration = f"{seconds / 60:,.0f} min" if seconds >= 120 else f"{seconds:,.0f} s"
    return (
        f"at least {duration} to fuse and test, besides scoring {pairs:,} pairs or more with each "
        f"of {scorers} rerankers"
    )


def _cost(position: Position, scorings: Scorings) -> Cost:
    seconds, prepare = position.fusing_seconds, 0.0
    for stage, trace in zip(position.stages, position.traces, strict=True):
        rate = scorings.rate(stage)
        seconds += rate.seconds_per_pair * int(trace.seen.sum())
        prepare += rate.prepare_seconds
    lists = len(scorings.task.candidates)
    return Cost(int(position.looked_at.sum()), seconds, prepare, lists)


def picked(stages: Sequence[StageSettings], plan: Study) -> dict[str, Any]:
    """Return what was chosen, or tried, under names such as ``"filip.weight"``."""
    return {
        f"{stage.name}.{key}": shown(stage.values[key])
        for stage in stages
        for key in plan.tune_axes.get(stage.name, {})
        if key in stage.values
    }


def _keep(folder: Path, number: int, task: Task, position: Position, top_k: int | None) -> str:
    """Write a run file, and return its place in the study's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder = "" if task.encoder is None else f".{task.encoder}"
    path = folder / f"{task.direction}{encoder}.{number:03d}.trec"
    lists = task.lists(position.ranks, top_k)
    order = by_rank(position.ranks)
    scores = np.take_along_axis(position.scores, order, axis=1)
    run = {
        query: dict(zip(lists[query], scores[row, : len(lists[query])].tolist(), strict=True))
        for row, query in enumerate(task.candidates.query_ids)
    }
    write_run(path, run, "crossrank")
    return f"{folder.name}/{path.name}"
