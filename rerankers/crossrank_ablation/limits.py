"""What a study would take: asked about before many runs, refused where the cache has no room."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from crossrank._items.fingerprint import fingerprint
from crossrank.errors import InputError
from crossrank_ablation.cache import ScoreCache
from crossrank_ablation.config_stages import STAGE_KEYS
from crossrank_ablation.data import make_task
from crossrank_ablation.grid import Axes, count_cells, settings_of, spread
from crossrank_ablation.plan import Study
from crossrank_ablation.run import Run, estimate
from crossrank_ablation.scorings import BLOCK_QUERIES
from crossrank_ablation.settings import StageSettings
from crossrank_ablation.task import Task

MOST_RUNS = 1000
"""More need a yes."""


def check_size(plan: Study, yes: bool) -> None:
    """Refuse more than `MOST_RUNS` without a yes, with what they would take."""
    directions = len(plan.directions or ("",))
    cells = sum(map(count_cells, plan.grids))
    points = cells * _points(plan, list(plan.tune_axes))
    if cells <= MOST_RUNS:  # few enough to look at each
        members = spread(plan.grids, plan.stages)
        cells = len(members)
        points = sum(_points(plan, [stage.name for stage in c.stages]) for c in members)
    total = directions * (cells + (points if plan.tune_axes else 0))
    if total <= MOST_RUNS or yes:
        return
    encoder = plan.encoders[0]
    task = make_task("report", plan.split("report", encoder), None, encoder)
    scorers = len(plan.stages)
    raise InputError(
        f"ablate: {cells:,} cells"
        + (f" with {points:,} settings to choose from" if plan.tune_axes else "")
        + (f", in {directions} directions," if directions > 1 else "")
        + f" are up to {total:,} runs: {estimate(task, total, scorers)}; "
        "say --yes (yes=True) to run them, or make the grid smaller"
    )


def check_room(cache: ScoreCache | None, work: Sequence[Run], plan: Study) -> None:
    """Refuse a cache that cannot keep what the study scores at most."""
    if cache is None:
        return
    needed, largest = 0, 0
    for run in work:
        parts: list[tuple[Task, Axes]] = [(run.task, {})]
        parts += [] if run.tune is None else [(run.tune.task, plan.tune_axes)]
        for task, axes in parts:
            scorers = {
                fingerprint([stage.reranker_name, _parameters(stage)])
                for cell in run.cells
                for settings in settings_of(cell, _of_parameters(axes))
                for stage in settings
            }
            lists, depth = task.candidates.index.shape
            needed += 4 * lists * depth * len(scorers)
            largest = max(largest, 4 * min(lists, BLOCK_QUERIES) * depth)
    cache.check_room(needed, largest)


def _points(plan: Study, stages: Sequence[str]) -> int:
    """Return how many settings `[tune]` allows some stages."""
    axes = [plan.tune_axes.get(name, {}) for name in stages]
    return math.prod(len(values) for each in axes for values in each.values())


def _parameters(stage: StageSettings) -> dict[str, Any]:
    return {key: value for key, value in stage.values.items() if key not in STAGE_KEYS}


def _of_parameters(axes: Axes) -> Axes:
    """Leave out the axes that cost no scoring."""
    return {
        name: {key: values for key, values in each.items() if key not in STAGE_KEYS}
        for name, each in axes.items()
    }
