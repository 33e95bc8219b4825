"""What a benchmark run found: figures per system, category and measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import InputError
from crossrank.evaluation import bootstrap_interval, randomisation_test
from crossrank_bench import measures
from crossrank_bench.benchmark import Benchmark, Case
from crossrank_bench.measures import Outcome

Matrices = Sequence[NDArray[np.float64]]
ALL = "all"
CHANCE = {"text": 25.0, "image": 25.0, "group": 100 / 6}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Parameters
    ----------
    system, category, measure
        What is measured.
    items
        Of how many cases.
    value
        In percent: a share of the cases, or the mean average precision.
    low, high
        Its 95 % interval, by Wilson's formula for shares, by bootstrap for average precision.
    ties
        How many cases an equality decided; they count as wrong.
    chance
        What guessing would give; None where that depends on the case.
    gain, p
        The difference from the first system, and the p-value of a paired randomisation test over
        cases; None for the first.
    """

    system: str
    category: str
    measure: str
    items: int
    value: float
    low: float
    high: float
    ties: int
    chance: float | None
    gain: float | None = None
    p: float | None = None


@dataclass(frozen=True, slots=True)
class BenchResult:
    """A benchmark's figures.

    Parameters
    ----------
    benchmark
        The cases that were asked, and those that were not.
    encoder
        What made the features; empty for scores that were given.
    scores
        Per system, and per case, the matrix ``[images, texts]``.
    outcomes
        Per system, and per case, what follows from it.
    rows
        The figures.
    """

    benchmark: Benchmark
    encoder: str
    scores: Mapping[str, Matrices]
    outcomes: Mapping[str, Sequence[Outcome]]
    rows: tuple[Row, ...]

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems, the first of which the others are compared with."""
        return tuple(self.scores)

    def row(self, category: str = ALL, measure: str | None = None, system: str = "") -> Row:
        """Return one figure; the first measure and the last system by default.

        Raises
        ------
        InputError
            If there is no such figure.
        """
        wanted = system or self.systems[-1]
        for row in self.rows:
            if (row.system, row.category) == (wanted, category) and measure in (None, row.measure):
                return row
        known = ", ".join(dict.fromkeys(row.category for row in self.rows))
        raise InputError(
            f"bench {self.benchmark.name}: there is no figure of {wanted!r}, {category!r}, "
            f"{measure!r}; categories are {known}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        missing = self.benchmark.missing
        return {
            "benchmark": self.benchmark.name,
            "encoder": self.encoder or None,
            "systems": list(self.systems),
            "items": len(self.benchmark.cases),
            "rows": [asdict(row) for row in self.rows],
            "skipped": {
                "count": len(dict.fromkeys(each.case for each in missing)),
                "items": [{"id": each.case, "picture": each.picture} for each in missing],
            },
            "notes": list(self.benchmark.notes),
        }


def result_of(
    benchmark: Benchmark,
    scores: Mapping[str, Matrices],
    encoder: str = "",
    resamples: int = 9999,
    seed: int = 0,
) -> BenchResult:
    """Judge the scores of some systems.

    Parameters
    ----------
    benchmark
        With at least one case.
    scores
        Per system, and per case, a finite matrix ``[images, texts]``.
    encoder
        What made the features.
    resamples, seed
        Of tests and of the bootstrap; 0 resamples for neither.
    """
    outcomes = {
        system: [
            judged(benchmark.kind, case, each)
            for case, each in zip(benchmark.cases, matrices, strict=True)
        ]
        for system, matrices in scores.items()
    }
    categories = dict.fromkeys(case.category for case in benchmark.cases)
    groups = {
        name: [k for k, case in enumerate(benchmark.cases) if case.category == name]
        for name in categories
    }
    if len(groups) > 1 or not groups:
        groups[ALL] = list(range(len(benchmark.cases)))
    else:
        groups = {ALL: next(iter(groups.values()))} | {
            name: rows for name, rows in groups.items() if name not in ("", ALL)
        }
    groups.pop("", None)
    rows = []
    first = next(iter(outcomes.values()))
    for system, judgements in outcomes.items():
        for category, places in groups.items():
            cases = [benchmark.cases[k] for k in places]
            for measure in first[0].values:
                values = np.array([judgements[k].values[measure] for k in places])
                before = np.array([first[k].values[measure] for k in places])
                ties = sum(judgements[k].tied for k in places)
                rows.append(
                    _row(system, category, measure, values, ties, _chance(measure, cases))
                    if judgements is first
                    else _row(
                        system,
                        category,
                        measure,
                        values,
                        ties,
                        _chance(measure, cases),
                        before,
                        (resamples, seed),
                    )
                )
    return BenchResult(benchmark, encoder, scores, outcomes, tuple(rows))


def judged(kind: str, case: Case, scores: NDArray[np.float64]) -> Outcome:
    """Judge the scores of one case."""
    if kind == "choice":
        return measures.choice(scores)
    if kind == "pairs":
        return measures.pairs(scores)
    return measures.labels(scores, case.relevant)


def _row(
    system: str,
    category: str,
    measure: str,
    values: NDArray[np.float64],
    ties: int,
    chance: float | None,
    before: NDArray[np.float64] | None = None,
    test: tuple[int, int] = (0, 0),
) -> Row:
    items, value = len(values), 100 * float(values.mean())
    if measure == "AP":
        low, high = value, value
        if items > 1:
            ends = bootstrap_interval(100 * values[None], np.ones(items), seed=test[1])
            low, high = (float(end[0]) for end in ends)
    else:
        low, high = measures.share_interval(float(values.sum()), items)
    gain = p = None
    if before is not None:
        gain = value - 100 * float(before.mean())
        if test[0] and items > 1:
            p = float(randomisation_test((values - before)[None], *test)[0])
    return Row(system, category, measure, items, value, low, high, ties, chance, gain, p)


def _chance(measure: str, cases: Sequence[Case]) -> float | None:
    if measure == "accuracy":
        return 100 * float(np.mean([1 / len(case.texts) for case in cases]))
    return CHANCE.get(measure)
