"""Grids: pipelines, their variants and the axes of their settings, spread into cells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations, product
from typing import Any

from crossrank.errors import InputError, nearest
from crossrank_ablation.settings import FUSION_KEYS, Cell, StageSettings

VARIANTS = ("as_given", "leave_one_out", "add_one_in", "subsets", "orders")

Axes = Mapping[str, Mapping[str, Sequence[Any]]]
"""Stage → key → values."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells in short form: pipelines of stages' names, and which of `VARIANTS` each becomes.

    Encoders and cuts are axes of the whole cell, `axes` those of the stages.
    """

    pipelines: tuple[tuple[str, ...], ...]
    variants: tuple[str, ...] = ("as_given",)
    encoders: tuple[str | None, ...] = (None,)
    top_k: tuple[int | None, ...] = (None,)
    axes: Axes = field(default_factory=dict)


def read_variants(words: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of variants, hyphens or underscores."""
    given = list(words) if isinstance(words, list | tuple) else [words]
    variants = tuple(str(word).replace("-", "_") for word in given)
    for word in variants:
        if word not in VARIANTS:
            raise InputError(f"ablate: no variant is called {word!r:.80}{nearest(word, VARIANTS)}")
    if not variants:
        raise InputError(f"ablate: variants is empty; give some of {', '.join(VARIANTS)}")
    return variants


def count_cells(grid: Grid) -> int:
    """Return how many cells a grid makes at most, without making them."""
    total = 0
    for names in grid.pipelines:
        size = math.prod(
            len(values) for name in names for values in grid.axes.get(name, {}).values()
        )
        total += size * sum(_count(word, len(names)) for word in grid.variants)
    return total * len(grid.encoders) * len(grid.top_k)


def spread(grids: Sequence[Grid], stages: Mapping[str, StageSettings]) -> list[Cell]:
    """Return the distinct cells of some grids, named by what varies."""
    cells: dict[str, Cell] = {}
    for grid in grids:
        for cell in _cells(grid, stages):
            known = cells.setdefault(cell.key, cell)
            if known.whole is None and cell.whole is not None and cell.whole != cell.key:
                cells[cell.key] = replace(known, note=cell.note, whole=cell.whole)
    return named(list(cells.values()))


def settings_of(cell: Cell, axes: Axes) -> list[tuple[StageSettings, ...]]:
    """Return every setting of a cell's stages that the axes allow, distinct, in their order."""
    choices = [_choices(stage, axes.get(stage.name, {})) for stage in cell.stages]
    return [tuple(chosen) for chosen in product(*choices)]


def named(cells: Sequence[Cell]) -> list[Cell]:
    """Call each cell by its stages and by the settings in which cells differ."""
    varying = _varying([stage for cell in cells for stage in cell.stages])
    encoders = len({cell.encoder for cell in cells}) > 1
    cuts = len({cell.top_k for cell in cells}) > 1

    def name(cell: Cell) -> str:
        parts = " → ".join(_label(stage, varying.get(stage.name, ())) for stage in cell.stages)
        extra = [cell.encoder] if encoders and cell.encoder else []
        extra += [f"top {cell.top_k}"] if cuts and cell.top_k is not None else []
        return " · ".join([parts, *extra])

    return [replace(cell, name=name(cell)) for cell in cells]


def _cells(grid: Grid, stages: Mapping[str, StageSettings]) -> Iterator[Cell]:
    for encoder, top_k, word in product(grid.encoders, grid.top_k, grid.variants):
        for names in grid.pipelines:
            for chosen, missing in _variants(word, names):
                choices = [_choices(stages[name], grid.axes.get(name, {})) for name in chosen]
                for settings in product(*choices):
                    cell = Cell(placed(settings, encoder), encoder, top_k)
                    if word == "leave_one_out":
                        cell = _against_whole(cell, names, missing, grid, stages)
                    yield cell


def placed(stages: Sequence[StageSettings], encoder: str | None) -> tuple[StageSettings, ...]:
    """Return stages with ``{encoder}`` filled in wherever a parameter is a text."""
    if encoder is None:
        return tuple(stages)

    def filled(value: Any) -> Any:
        return value.replace("{encoder}", encoder) if isinstance(value, str) else value

    return tuple(
        replace(stage, values={key: filled(value) for key, value in stage.values.items()})
        for stage in stages
    )


def _variants(word: str, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield pipelines, each with the stage that was taken out of it (or "")."""
    if word == "orders":
        yield from ((order, "") for order in permutations(names))
    elif word == "subsets":
        for count in range(1, len(names) + 1):
            yield from ((part, "") for part in combinations(names, count))
    elif word == "add_one_in":
        yield from (((name,), "") for name in names)
    else:
        yield names, ""
        if word == "leave_one_out" and len(names) > 1:
            yield from ((tuple(n for n in names if n != name), name) for name in names)


def _against_whole(
    cell: Cell,
    names: tuple[str, ...],
    missing: str,
    grid: Grid,
    stages: Mapping[str, StageSettings],
) -> Cell:
    if not missing:
        return replace(cell, note="whole")
    kept = {stage.name: stage for stage in cell.stages}
    first = _choices(stages[missing], grid.axes.get(missing, {}))[0]
    (added,) = placed([first], cell.encoder)
    whole = replace(cell, stages=tuple(kept.get(name, added) for name in names))
    return replace(cell, note=f"without {missing}", whole=whole.key)


def _choices(stage: StageSettings, axes: Mapping[str, Sequence[Any]]) -> list[StageSettings]:
    """Return a stage with every combination of values, equal ones once."""
    fusions = {*axes.get("fusion", ()), stage.values.get("fusion", "weighted")}
    spare = frozenset(
        key for name in fusions if isinstance(name, str) for key in FUSION_KEYS.get(name, ())
    )
    distinct: dict[str, StageSettings] = {}
    for values in product(*axes.values()):
        made = stage.having(dict(zip(axes, values, strict=True)), spare if axes else frozenset())
        distinct.setdefault(made.key, made)
    return list(distinct.values())


def _count(word: str, size: int) -> int:
    if word == "orders":
        return math.factorial(size)
    if word == "subsets":
        return int(2**size) - 1
    return {"as_given": 1, "add_one_in": size, "leave_one_out": 1 + size * (size > 1)}[word]


def _varying(stages: Sequence[StageSettings]) -> dict[str, tuple[str, ...]]:
    """Return per stage the keys in which its settings differ, in the order they came up."""
    values: dict[str, dict[str, set[str]]] = {}
    seen: dict[str, list[StageSettings]] = {}
    for stage in stages:
        seen.setdefault(stage.name, []).append(stage)
    for name, group in seen.items():
        keys = dict.fromkeys(key for stage in group for key in stage.values)
        values[name] = {key: {repr(stage.values.get(key)) for stage in group} for key in keys}
    return {
        name: tuple(key for key, found in keys.items() if len(found) > 1)
        for name, keys in values.items()
    }


def _label(stage: StageSettings, keys: Sequence[str]) -> str:
    settings = [f"{key}={_short(stage.values[key])}" for key in keys if key in stage.values]
    return f"{stage.name}({', '.join(settings)})" if settings else stage.name


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 32 else f"{text[:29]}…"
