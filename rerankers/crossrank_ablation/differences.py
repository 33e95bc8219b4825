"""`crossrank compare`: two results of the same queries, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from crossrank.errors import InputError
from crossrank.evaluation._measures import parse_measures
from crossrank.evaluation._table import Cells, markdown_table, text_table, value_text
from crossrank_ablation.cell_result import CellResult
from crossrank_ablation.measuring import Measured, better, summed_up
from crossrank_ablation.result import AblationResult
from crossrank_ablation.statistics import Comparison, compared
from crossrank_ablation.tables import mark, p_text


@dataclass(frozen=True, slots=True)
class Pair:
    """One cell in both results: its metrics before and after, and how the second compares."""

    name: str
    direction: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    comparisons: Mapping[str, Comparison]


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs between two results.

    Parameters
    ----------
    metrics, alpha
        That both have, and the level of the marks.
    pairs
        The cells that both have.
    only
        The cells that one of them has.
    made_differently
        What the two were made with, where it differs: name → the two values.
    """

    metrics: tuple[str, ...]
    alpha: float
    pairs: tuple[Pair, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    made_differently: Mapping[str, tuple[Any, Any]]

    def __str__(self) -> str:
        """Return the table as text."""
        lines = text_table(self._cells()) if self.pairs else ["no cell is in both"]
        return "\n".join([*lines, *(f"* {note}" for note in self._notes())])

    def to_markdown(self) -> str:
        """Return the same as Markdown."""
        cells = [[text.replace("*", "\\*") for text in row] for row in self._cells()]
        notes = "\n".join(f"- {note}".replace("*", "\\*") for note in self._notes())
        return "\n".join(markdown_table(cells)) + f"\n\n{notes}\n"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return asdict(self)

    def _cells(self) -> Cells:
        first = self.metrics[0]
        heads = [f"{name} (a → b)" for name in self.metrics]
        rows: Cells = [["", *heads, f"Δ {first}", "p", "p Holm", "won/tied/lost"]]
        for pair in self.pairs:
            each = pair.comparisons[first]
            values = [
                f"{value_text(name, pair.before[name])} → {value_text(name, pair.after[name])}"
                + mark(pair.comparisons[name], self.alpha)
                for name in self.metrics
            ]
            rows.append(
                [
                    f"{pair.direction} {pair.name}",
                    *values,
                    value_text(first, each.difference, sign=True),
                    p_text(each.p_value),
                    p_text(each.p_holm),
                    f"{each.wins}/{each.ties}/{each.losses}",
                ]
            )
        return rows

    def _notes(self) -> list[str]:
        notes = [
            f"p of a paired randomisation test; p Holm over the whole table; * p Holm < "
            f"{self.alpha:g}, ** p Holm < {self.alpha / 5:g}"
        ]
        for name, cells in zip("ab", self.only, strict=True):
            if cells:
                notes.append(f"only in {name}: {', '.join(cells)}")
        notes += [f"{key}: {a} → {b}" for key, (a, b) in self.made_differently.items()]
        return notes


def compare_results(first: AblationResult, second: AblationResult) -> Differences:
    """Hold the cells of two results against each other, by direction and name.

    Raises
    ------
    InputError
        If they have no direction or metric in common, or other queries.
    """
    names = tuple(name for name in first.metrics if name in second.metrics)
    directions = [each for each in first.directions if each in second.directions]
    if not names or not directions:
        what = "metric" if directions else "direction"
        raise InputError(f"compare: the two results have no {what} in common")
    measures = parse_measures(names)
    pairs: list[Pair] = []
    for direction in directions:
        mine, theirs = first.queries[direction], second.queries[direction]
        if mine.ids != theirs.ids:
            shared = len(set(mine.ids) & set(theirs.ids))
            raise InputError(
                f"compare: the results are of other queries ({direction}: {len(mine.ids):,} and "
                f"{len(theirs.ids):,}, {shared:,} in both); compare results over the same data"
            )
        miss = max(mine.miss, theirs.miss)
        found = [
            (one, other)
            for one in first.of(direction)
            for other in second.of(direction)
            if one.name == other.name and one.status == other.status == "done"
        ]
        rows = [
            [_measured(each).values(measures, miss) for each in (one, other)]
            for one, other in found
        ]
        sums = [[summed_up(measures, values) for values in row] for row in rows]
        tests = compared(
            [after for _, after in rows],
            [before for before, _ in rows],
            [np.array([after[name] - before[name] for name in names]) for before, after in sums],
            np.array([each.summary == "mean" for each in measures]),
            better(measures),
            mine.clusters,
            first.significance,
        )
        pairs += [
            Pair(one.name, direction, before, after, dict(zip(names, row, strict=True)))
            for (one, _), (before, after), row in zip(found, sums, tests, strict=True)
        ]
    mine_only, theirs_only = _names(first) - _names(second), _names(second) - _names(first)
    return Differences(
        names,
        first.alpha,
        tuple(pairs),
        (tuple(sorted(mine_only)), tuple(sorted(theirs_only))),
        _made_differently(first, second),
    )


def _measured(cell: CellResult) -> Measured:
    if cell.first_ranks is None:
        raise InputError(f"compare: {cell.name!r} has no ranks per query; run the study again")
    return Measured(cell.first_ranks, cell.foreign)


def _names(result: AblationResult) -> set[str]:
    return {f"{cell.direction} {cell.name}" for cell in result.cells}


def _made_differently(first: AblationResult, second: AblationResult) -> dict[str, tuple[Any, Any]]:
    found: dict[str, tuple[Any, Any]] = {}
    for part in ("versions", "plugins", "fingerprints"):
        mine, theirs = _flat(first.provenance.get(part, {})), _flat(second.provenance.get(part, {}))
        for key in sorted(mine.keys() & theirs.keys()):
            if mine[key] != theirs[key]:
                found[f"{part}: {key}"] = mine[key], theirs[key]
    for key in ("resamples", "seed"):
        one, other = getattr(first.significance, key), getattr(second.significance, key)
        if one != other:
            found[key] = one, other
    return found


def _flat(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{before}{key}"
        flat |= _flat(value, f"{name} ") if isinstance(value, Mapping) else {name: value}
    return flat
