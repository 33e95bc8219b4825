"""From runs to a result: names, tests over each direction's table, slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import InputError, nearest
from crossrank.evaluation import Significance
from crossrank.evaluation._measures import Measure
from crossrank_ablation.cell_result import CellResult
from crossrank_ablation.gallery import gallery_of
from crossrank_ablation.measuring import better, summed_up
from crossrank_ablation.plan import Study
from crossrank_ablation.result import AblationResult, Queries
from crossrank_ablation.run import Outcome, Run, picked
from crossrank_ablation.slices import slice_gains, slices_of
from crossrank_ablation.statistics import Comparison, compared, enough_resamples
from crossrank_ablation.stories import Gallery
from crossrank_ablation.tree import drawing, grow


def result_of(
    plan: Study,
    work: Sequence[Run],
    outcomes: Sequence[Sequence[Outcome]],
    measures: Sequence[Measure],
    tried: Sequence[Mapping[str, Any]],
    record: Mapping[str, Any],
) -> AblationResult:
    """Put a result together of what was run and what became of it, base first."""
    directions = list(dict.fromkeys(run.task.direction for run in work))
    cells: list[CellResult] = []
    queries: dict[str, Queries] = {}
    for direction in directions:
        own = [place for place, run in enumerate(work) if run.task.direction == direction]
        found, asked = _direction(
            plan, [work[p] for p in own], [outcomes[p] for p in own], measures
        )
        cells += found
        queries[direction] = asked
    if plan.featured is not None and plan.featured not in {cell.name for cell in cells}:
        names = {cell.name for cell in cells}
        raise InputError(
            f"[report] cell: no cell is called {plan.featured!r}{nearest(plan.featured, names)}"
        )
    done = [each for each in outcomes[0] if each.stages and each.learned is None]
    tree = grow([each.stages for each in done], [each.cell.name for each in done])
    result = AblationResult(
        name=plan.name,
        metrics=tuple(each.name for each in measures),
        cells=tuple(cells),
        queries=queries,
        significance=plan.significance,
        alpha=plan.alpha,
        config=plan.raw,
        provenance=record,
        drawing=drawing(tree),
        tried=tried,
        grown=tree,
    )

    @cache
    def tell() -> list[Gallery]:
        galleries = []
        for direction in directions:
            chosen = _featured(plan, result, direction)
            for run, members in zip(work, outcomes, strict=True):
                own = run.task.direction == direction
                if own and chosen is not None and run.task.encoder == chosen.encoder:
                    outcome = next(o for o in members if _name(o, work) == chosen.name)
                    galleries.append(gallery_of(run, members[0], outcome, chosen.name, plan))
        return galleries

    object.__setattr__(result, "galleries", tell)
    return result


def _direction(
    plan: Study,
    runs: Sequence[Run],
    outcomes: Sequence[Sequence[Outcome]],
    measures: Sequence[Measure],
) -> tuple[list[CellResult], Queries]:
    first = runs[0].task
    for run in runs[1:]:
        if run.task.query_ids != first.query_ids:
            raise InputError(
                f"ablate: the encoders {first.encoder!r} and {run.task.encoder!r} have other "
                "qrels; give the same for all"
            )
    everything = [outcome for members in outcomes for outcome in members]
    measured = [each.measured for each in everything if each.measured is not None]
    miss = 1 + min(each.depth for each in measured)
    values = {
        id(each): each.measured.values(measures, miss)
        for each in everything
        if each.measured is not None
    }
    pairs = _pairs(outcomes)
    names = {id(each): _name(each, runs) for each in everything}
    comparisons = _comparisons(pairs, names, values, measures, first.clusters, plan.significance)
    slices = _slices(plan, runs, outcomes, values)
    cells = []
    for members in outcomes:
        for each in members:
            cells.append(
                CellResult(
                    name=names[id(each)],
                    direction=first.direction,
                    encoder=each.cell.encoder,
                    top_k=each.cell.top_k,
                    note=each.cell.note,
                    stages=tuple(stage.to_dict() for stage in each.stages),
                    status=_status(each),
                    error="" if each.failure is None else each.failure.reason,
                    metrics={} if each.measured is None else summed_up(measures, values[id(each)]),
                    comparisons=comparisons.get(id(each), {}),
                    tuned=picked(each.stages, plan) if each.learned is None else each.learned,
                    scorer_calls=each.spent.calls,
                    pairs_scored=each.spent.scored,
                    pairs_from_cache=each.spent.from_cache,
                    pairs_shared=each.spent.shared,
                    cost=each.cost,
                    slices=slices.get(id(each), ()),
                    run=each.run,
                    first_ranks=None if each.measured is None else each.measured.first_ranks,
                    foreign={} if each.measured is None else each.measured.foreign,
                    learned=each.learned is not None,
                    transductive=each.transductive,
                    ceiling=each.ceiling,
                )
            )
    looking = [names[id(each)] for each in everything if each.transductive]
    tests = len(pairs) * sum(each.summary == "mean" for each in measures)
    notes = _notes(plan, runs, looking, tests)
    return cells, Queries(first.query_ids, first.clusters, miss, tuple(notes))


def _comparisons(
    pairs: Sequence[tuple[Outcome, Outcome]],
    names: Mapping[int, str],
    values: Mapping[int, Any],
    measures: Sequence[Measure],
    clusters: NDArray[np.int64],
    significance: Significance,
) -> dict[int, dict[str, dict[str, Comparison]]]:
    """Return by outcome, name of the other and metric how pairs of outcomes compare."""
    summed = {
        key: np.array(list(summed_up(measures, rows).values())) for key, rows in values.items()
    }
    found = compared(
        [values[id(one)] for one, _ in pairs],
        [values[id(other)] for _, other in pairs],
        [summed[id(one)] - summed[id(other)] for one, other in pairs],
        np.array([each.summary == "mean" for each in measures]),
        better(measures),
        clusters,
        significance,
    )
    comparisons: dict[int, dict[str, dict[str, Comparison]]] = {}
    for (one, other), rows in zip(pairs, found, strict=True):
        named = {each.name: row for each, row in zip(measures, rows, strict=True)}
        comparisons.setdefault(id(one), {})[names[id(other)]] = named
    return comparisons


def _notes(plan: Study, runs: Sequence[Run], looking: Sequence[str], tests: int) -> list[str]:
    """Return what a reader has to know: of the data, of transductive cells, of the tests."""
    notes = list(dict.fromkeys(note for run in runs for note in run.task.notes))
    if looking:
        notes.append(f"looks at the other queries: {', '.join(looking)}")
    needed = enough_resamples(tests, plan.significance, plan.alpha)
    if needed:
        notes.append(
            f"{tests} tests are corrected for: with {plan.significance.resamples:,} resamples no p "
            f"Holm can fall below {plan.alpha:g}; take {needed:,} resamples or fewer metrics"
        )
    return notes


def _pairs(outcomes: Sequence[Sequence[Outcome]]) -> list[tuple[Outcome, Outcome]]:
    """Return what is held against what: every cell against its base, losses against the whole."""
    pairs = []
    for base, *members in outcomes:
        by_key = {each.cell.key: each for each in members if each.learned is None}
        for each in members:
            if each.measured is None:
                continue
            pairs.append((each, base))
            whole = None if each.cell.whole is None else by_key.get(each.cell.whole)
            if whole is not None and whole is not each and whole.measured is not None:
                pairs.append((each, whole))
    return pairs


def _slices(
    plan: Study,
    runs: Sequence[Run],
    outcomes: Sequence[Sequence[Outcome]],
    values: Mapping[int, Any],
) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for run, (base, *members) in zip(runs, outcomes, strict=True):
        done = [each for each in members if each.measured is not None]
        assert base.measured is not None
        groups = slices_of(run.task, base.measured.first_ranks, plan.objects_above)
        differences = [values[id(each)][0] - values[id(base)][0] for each in done]
        gains = slice_gains(differences, groups, run.task.clusters, plan.significance)
        found |= {id(each): rows for each, rows in zip(done, gains, strict=True)}
    return found


def _featured(plan: Study, result: AblationResult, direction: str) -> CellResult | None:
    if plan.featured is not None:
        for cell in result.of(direction):
            if cell.name == plan.featured and cell.status == "done":
                return cell
    return result.best(direction)


def _name(outcome: Outcome, runs: Sequence[Run]) -> str:
    if outcome.cell.name:
        return outcome.cell.name
    several = len({run.task.encoder for run in runs}) > 1
    return f"base · {outcome.cell.encoder}" if several else "base"


def _status(outcome: Outcome) -> str:
    if outcome.failure is None:
        return "done"
    return "failed" if outcome.failure.applies else "not applicable"
