"""`ablate`: read a study, choose on one split, run and test on the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossrank._engine.options import RunOptions
from crossrank._engine.resources import Resources
from crossrank._pipeline import Pipeline
from crossrank._progress import as_progress
from crossrank.errors import InputError
from crossrank.evaluation._measures import parse_measures
from crossrank.plugin.contract import Context, Progress
from crossrank.report import check_jinja
from crossrank_ablation import provenance
from crossrank_ablation.assembling import result_of
from crossrank_ablation.cache import ScoreCache
from crossrank_ablation.config import read_study
from crossrank_ablation.data import check_apart, make_task
from crossrank_ablation.folder import open_folder, resumed
from crossrank_ablation.grid import spread
from crossrank_ablation.learned import learned
from crossrank_ablation.limits import check_room, check_size
from crossrank_ablation.plan import Study
from crossrank_ablation.plots import check_matplotlib
from crossrank_ablation.result import AblationResult
from crossrank_ablation.run import Run, chosen_on, measured_on
from crossrank_ablation.scorings import Scorings
from crossrank_ablation.settings import Cell, StageSettings
from crossrank_ablation.spent import Spent
from crossrank_ablation.task import Split, Task

log = logging.getLogger(__name__)


def ablate(
    study: str | Path | Mapping[str, Any] | Pipeline | None = None,
    data: Split | None = None,
    tune: Split | None = None,
    *,
    variants: str | Sequence[str] = "as_given",
    grid: Mapping[str, Sequence[Any]] | None = None,
    search: Mapping[str, Sequence[Any]] | None = None,
    output: str | Path | None = None,
    resume: str | Path | None = None,
    root: str | Path | None = None,
    cache: ScoreCache | str | Path | bool = True,
    yes: bool = False,
    runs: bool = False,
    progress: Progress | bool | None = None,
    **settings: Any,
) -> AblationResult:
    """Run a study: pipelines and their variants, side by side, tested, with what they cost.

    Parameters
    ----------
    study
        A configuration (the path of a TOML file, or a mapping with the same keys, where
        collections, qrels and candidates may be ready objects), or a `crossrank.Pipeline`.
    data, tune
        For a pipeline: what is measured on, and where `search` chooses.
    variants, grid, search
        For a pipeline: ``"leave_one_out"``, ``"add_one_in"``, …; axes such as
        ``{"filip.depth": [20, 100]}``, which become rows; and such as
        ``{"filip.weight": [0.5, 1.0]}``, of which the best on `tune` is taken.
    output
        A new folder for tables, plots and the report; nothing is written without one.
    resume
        The folder of a study that was stopped: it goes on, and ends with the same tables.
    root
        In place of the configuration's ``data.root``.
    cache
        Where raw scores are kept: True for the user's cache folder (or the configuration's), a
        folder, or False for nowhere.
    yes
        Whether to run more than 1,000 cells and settings.
    runs
        Whether to write a TREC run file per cell into the output folder.
    progress
        True for a bar on standard error, or a callable ``(what, done, total)``.
    **settings
        For a pipeline: any other table or key of the configuration, such as
        ``metrics=["R@1"]`` or ``statistics={"resamples": 999}``.

    Returns
    -------
    AblationResult
        Print it for a table; `AblationResult.save` writes everything.

    Raises
    ------
    InputError
        For a configuration that cannot be run, before any work.
    StoreError
        For a folder that cannot be written, or a cache that is none.
    """
    start, began = time.perf_counter(), provenance.now()
    if output is not None or resume is not None:  # before hours of scoring
        check_matplotlib()
        check_jinja("ablate", "an ablation's report")
    if resume is not None:
        plan, kept = resumed(Path(resume))
        output, root = resume, kept.get("root")
        runs, cache = runs or bool(kept.get("runs")), kept.get("cache", True)
        yes = True
    else:
        plan = _plan(study, data, tune, variants, grid, search, root, settings)
    check_size(plan, yes)
    show = as_progress(progress)
    cells = spread(plan.grids, plan.stages)
    kept_scores = _cache(plan, cache)
    work = _prepare(plan, cells, kept_scores, show)
    check_room(kept_scores, work, plan)
    folder = None
    if output is not None:
        folder = open_folder(Path(output), plan, kept_scores, runs, resume is not None)

    measures = parse_measures(plan.metrics)
    opened = time.perf_counter()
    tried: list[dict[str, Any]] = []
    chosen: dict[tuple[str, str | None], list[tuple[StageSettings, ...]]] = {}
    failures: dict[tuple[str, str | None], dict[int, str]] = {}
    choosing = Spent()
    for run in work:
        place = run.task.direction, run.task.encoder
        if run.tune is not None and plan.tune_axes:
            found = chosen_on(run.tune, run.cells, plan, measures, show)
            chosen[place], failures[place] = found.stages, found.failures
            tried += found.tried
            choosing += found.spent
        else:
            chosen[place], failures[place] = [cell.stages for cell in run.cells], {}
    tuned = time.perf_counter()
    runs_folder = folder / "runs" if runs and folder is not None else None
    outcomes = [
        measured_on(
            run,
            chosen[run.task.direction, run.task.encoder],
            failures[run.task.direction, run.task.encoder],
            measures,
            runs_folder,
            show,
        )
        for run in work
    ]
    for run, members in zip(work, outcomes, strict=True):
        members += learned(run, members, plan.learned, measures)
    measured = time.perf_counter()
    record = {
        "began": began,
        "finished": provenance.now(),
        "command": provenance.command() if plan.machine else None,
        "host": provenance.host() if plan.machine else None,
        "versions": provenance.versions(),
        "plugins": provenance.plugins(
            stage.reranker for stage in plan.stages.values() if isinstance(stage.reranker, str)
        ),
        "seed": plan.significance.seed,
        "fingerprints": {
            f"{task.split} {task.direction} {task.encoder or ''}".strip(): task.digests.known()
            for run in work
            for task in (run.task, *([] if run.tune is None else [run.tune.task]))
        },
        "seconds": {
            "opening": opened - start,
            "choosing": tuned - opened,
            "running": measured - tuned,
        },
        "choosing": {
            "scorer_calls": choosing.calls,
            "pairs_scored": choosing.scored,
            "pairs_from_cache": choosing.from_cache,
        },
        "cache": str(kept_scores.folder) if plan.machine and kept_scores is not None else None,
    }
    result = result_of(plan, work, outcomes, measures, tried, record)
    if folder is not None:
        result.save(folder)
    return result


def _plan(
    study: str | Path | Mapping[str, Any] | Pipeline | None,
    data: Split | None,
    tune: Split | None,
    variants: str | Sequence[str],
    grid: Mapping[str, Sequence[Any]] | None,
    search: Mapping[str, Sequence[Any]] | None,
    root: str | Path | None,
    settings: Mapping[str, Any],
) -> Study:
    if study is None:
        raise InputError("ablate: give a configuration, a pipeline, or resume=FOLDER")
    if not isinstance(study, Pipeline):
        extra = [
            name
            for name, value in (("data", data), ("tune", tune), ("grid", grid))
            if value is not None
        ]
        extra += ["search"] if search is not None else []
        extra += [] if variants == "as_given" else ["variants"]
        if extra or settings:
            raise InputError(
                f"ablate: {', '.join([*extra, *settings])} belong to a pipeline; write them into "
                "the configuration"
            )
        return read_study(study, root)
    if data is None:
        raise InputError("ablate: a pipeline needs data, a Split(queries, gallery, qrels)")
    stages = [StageSettings.of(stage) for stage in study.stages]
    config: dict[str, Any] = {
        "stages": {each.name: {"reranker": each.reranker, **each.values} for each in stages},
        "grid": {"stages": [each.name for each in stages], "variants": variants, **(grid or {})},
        "data": {"report": _table(data)},
        **settings,
    }
    if tune is not None:
        config["data"]["tune"] = _table(tune)
    if search is not None:
        config["tune"] = dict(search)
    return read_study(config, root)


def _table(split: Split) -> dict[str, Any]:
    table = {name: getattr(split, name) for name in ("queries", "gallery", "qrels", "depth")}
    return table if split.candidates is None else {**table, "run": split.candidates}


def _cache(plan: Study, wish: ScoreCache | str | Path | bool) -> ScoreCache | None:
    if isinstance(wish, ScoreCache):
        return wish
    if wish is False or wish is None:
        return None
    folder = plan.cache_folder if wish is True else Path(wish)
    return ScoreCache(folder, plan.cache_limit)


def _prepare(
    plan: Study, cells: Sequence[Cell], cache: ScoreCache | None, progress: Progress
) -> list[Run]:
    """Open the data of every encoder and direction."""
    options = {"memory_budget": "1GB", **plan.run, "progress": progress}
    if "plugin_cache" in options:
        options["cache_folder"] = options.pop("plugin_cache")
    resources = Resources.of(RunOptions(**options))

    def ready(task: Task) -> Scorings:
        context = Context(
            queries=task.queries,
            gallery=task.gallery,
            lists=task.candidates,
            direction=task.direction,
            cache_folder=resources.cache_folder,
            memory_budget=resources.memory_budget,
            device=resources.device,
            dtype=resources.dtype,
            threads=resources.threads,
            progress=resources.progress,
        )
        return Scorings(task, context, resources, cache)

    work = []
    for encoder in plan.encoders:
        own = [cell for cell in cells if cell.encoder == encoder]
        report = plan.split("report", encoder)
        tune = plan.split("tune", encoder) if "tune" in plan.data else None
        for direction in plan.directions or (report.direction,):
            task = make_task("report", report, direction, encoder)
            other = None
            if tune is not None:
                other_task = make_task("tune", tune, direction, encoder)
                check_apart(other_task, task)
                other = ready(other_task)
            work.append(Run(task, ready(task), own, other))
    # all of a direction together, whatever the encoder
    order = list(dict.fromkeys(run.task.direction for run in work))
    return sorted(work, key=lambda run: order.index(run.task.direction))
