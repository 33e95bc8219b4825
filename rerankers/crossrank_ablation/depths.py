"""How deep a stage should look: what each depth costs and finds, and a depth for each query."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crossrank._engine.options import RunOptions
from crossrank._engine.resources import Resources
from crossrank._engine.scoring import fuse_stage, seen_places
from crossrank._lists.auto_depth import AutoDepth
from crossrank._lists.ordering import order_rows, ranks
from crossrank._pipeline import Pipeline
from crossrank._stage import Stage
from crossrank.errors import InputError
from crossrank.evaluation._measures import parse_measures
from crossrank.plugin.contract import Context
from crossrank_ablation.data import make_task
from crossrank_ablation.measuring import measure, summed_up
from crossrank_ablation.scorings import Scorings
from crossrank_ablation.task import Split, Task
from crossrank_ablation.walk import Position, base_position, step

DEPTHS = (5, 10, 20, 32, 50, 100)
THRESHOLDS = {
    "margin": tuple(np.round(np.arange(0.25, 5.01, 0.25), 2).tolist()),
    "disagreement": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
}


@dataclass(frozen=True, slots=True)
class DepthPoint:
    """What the last stage of a pipeline costs and finds at one depth.

    Parameters
    ----------
    depth
        A number, or a rule.
    pairs
        How many it scores.
    seconds
        What this takes, at the speed it was measured with.
    ceiling
        The share of queries, in per cent, with a relevant candidate within the depth: what a
        perfect stage would put first.
    metrics
        What this one reaches.
    """

    depth: int | AutoDepth
    pairs: int
    seconds: float
    ceiling: float
    metrics: dict[str, float]


def depth_curve(
    pipeline: Pipeline,
    data: Split,
    depths: Sequence[int | AutoDepth] = DEPTHS,
    metrics: Sequence[str] = ("R@1", "R@5", "MRR"),
) -> list[DepthPoint]:
    """Measure the last stage of a pipeline at several depths; every pair is scored once.

    Parameters
    ----------
    pipeline
        Its last stage is the one that is looked at, whatever depth it has.
    data
        Where it is measured.
    depths
        Numbers and rules.
    metrics
        See `crossrank.evaluate`.

    Raises
    ------
    InputError
        Without a depth, or for what `crossrank.ablate` refuses.
    """
    if not depths:
        raise InputError("depth_curve: give at least one depth")
    trial = _Trial(pipeline, data, depths)
    return [trial.point(depth, metrics) for depth in depths]


def fit_depth(
    pipeline: Pipeline,
    data: Split,
    choices: Sequence[int] = (10, 32, 100),
    *,
    by: str = "margin",
    metric: str = "MRR",
    tolerance: float = 0.001,
    thresholds: Sequence[float] | None = None,
) -> AutoDepth:
    """Choose a rule for the last stage of a pipeline: the cheapest that loses next to nothing.

    Parameters
    ----------
    pipeline, data
        As for `depth_curve`; the data are those to choose on, not those to report on.
    choices, by
        See `crossrank.AutoDepth`.
    metric
        Which is to be kept; higher is better.
    tolerance
        Which share of the metric at the deepest choice may be lost.
    thresholds
        Which are tried.

    Returns
    -------
    AutoDepth
        For ``Stage(depth=…)``.
    """
    tried = THRESHOLDS[AutoDepth(tuple(choices), by=by).by] if thresholds is None else thresholds
    rules = [AutoDepth(tuple(choices), float(each), by) for each in tried]
    whole, *points = depth_curve(pipeline, data, [max(choices), *rules], [metric])
    least = whole.metrics[metric] * (1 - tolerance)
    enough = [each for each in points if each.metrics[metric] >= least]
    if not enough:  # then the deepest, always
        return AutoDepth((max(choices),), by=by)
    best = min(enough, key=lambda each: (each.pairs, -each.metrics[metric]))
    assert isinstance(best.depth, AutoDepth)
    return best.depth


class _Trial:
    """The stages before, walked once, and the last one's scores as deep as anybody asks."""

    def __init__(self, pipeline: Pipeline, data: Split, depths: Sequence[int | AutoDepth]) -> None:
        if not isinstance(pipeline, Pipeline):
            raise InputError(f"depth_curve: {pipeline!r} is no Pipeline")
        self.task: Task = make_task("report", data)
        context = Context(
            self.task.queries, self.task.gallery, self.task.candidates, self.task.direction
        )
        scorings = Scorings(self.task, context, Resources.of(RunOptions(threads=1)))
        self.before: Position = base_position(self.task)
        for stage in pipeline.stages[:-1]:
            self.before = step(self.before, stage, self.task, scorings)
        most = max(each if isinstance(each, int) else each.deepest for each in depths)
        self.stage: Stage = replace(_bare(pipeline.stages[-1]), depth=most)
        start = time.perf_counter()
        seen = self._seen(self.stage)
        self.raw, self.reasons, _ = scorings.raw(
            self.stage, seen, self.before.ranks, self.before.scores, self.before.stages
        )
        self.seconds_per_pair = (time.perf_counter() - start) / max(1, int(seen.sum()))

    def point(self, depth: int | AutoDepth, metrics: Sequence[str]) -> DepthPoint:
        """Return what a depth costs and finds."""
        stage, task, before = replace(self.stage, depth=depth), self.task, self.before
        seen, mask = self._seen(stage), task.candidates.mask
        raw = np.where(seen, self.raw, np.float32(np.nan))
        _, fused = fuse_stage(stage, raw, self.reasons, mask, seen, before.scores, before.ranks)
        after = ranks(order_rows(mask, fused, task.base_ranks, task.candidates.index))
        measures = parse_measures(list(metrics))
        rows = measure(task, after, measures).values(measures, task.candidates.depth + 1)
        within = (task.relevant & seen).any(axis=1)
        pairs = int(seen.sum())
        return DepthPoint(
            depth,
            pairs,
            pairs * self.seconds_per_pair,
            100 * float(within.sum()) / max(1, len(task.query_ids)),
            summed_up(measures, rows),
        )

    def _seen(self, stage: Stage) -> NDArray[np.bool_]:
        return seen_places(
            stage,
            self.task.candidates.mask,
            self.before.ranks,
            self.before.scores,
            self.task.base_ranks,
        )


def _bare(stage: Stage) -> Stage:
    return Stage(stage.scorer, fusion=stage.fusion, name=stage.name)
