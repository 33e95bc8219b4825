"""``[grid]`` and ``[tune]``: which cells a study has, and what is chosen for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crossrank.errors import InputError, nearest
from crossrank_ablation.config_stages import check_stage_key, stage_keys
from crossrank_ablation.config_tables import Tables
from crossrank_ablation.grid import Axes, Grid, read_variants
from crossrank_ablation.placeholders import filled_in
from crossrank_ablation.settings import StageSettings

GRID_KEYS = ("stages", "variants", "encoder", "top_k")


def read_grids(tables: Tables, stages: Mapping[str, StageSettings]) -> tuple[Grid, ...]:
    """Read ``[grid]`` or every ``[[grid]]``."""
    given = tables.values.get("grid")
    several: Sequence[Any] = given if isinstance(given, list | tuple) else [given]
    if given is None or not several or (isinstance(given, Mapping) and not given):
        tables.fail(("grid",), "there is no [grid], or it is empty; say which pipelines to run")
    for table in several:
        if not isinstance(table, Mapping):
            tables.fail(("grid",), f"grid is {table!r:.80}; it must be a table")
    return tuple(_grid(tables, dict(table), stages) for table in several)


def read_tune(tables: Tables, stages: Mapping[str, StageSettings], grids: Sequence[Grid]) -> Axes:
    """Read ``[tune]``: the axes that are chosen on the other split."""
    table = tables.table("tune")
    for key in table:
        if key.partition(".")[0] not in stages:
            tables.fail(("tune", key), f"[tune] has no key {key!r:.80}{nearest(key, stages)}")
    used = {name for grid in grids for pipeline in grid.pipelines for name in pipeline}
    axes = _axes(tables, "tune", table, stages, used)
    if axes and not tables.table("data", "tune"):
        tables.fail(("tune",), "[tune] needs [data.tune], a split that is not reported on")
    if tables.table("data", "tune") and not axes and not tables.table("fuse"):
        mend = "[data.tune] is not used; add [tune] with what to choose, or [fuse]"
        tables.fail(("data", "tune"), mend)
    return axes


def _grid(tables: Tables, table: dict[str, Any], stages: Mapping[str, StageSettings]) -> Grid:
    for key in table:
        if key.partition(".")[0] not in (*GRID_KEYS, *stages):
            tables.fail(
                ("grid", key), f"[grid] has no key {key!r:.80}{nearest(key, (*GRID_KEYS, *stages))}"
            )
    pipelines = _pipelines(tables, table.pop("stages", list(stages)), stages)
    words = table.pop("variants", "as_given")
    try:
        variants = read_variants(words)
    except InputError as error:
        tables.fail(("grid", "variants"), str(error))
    encoders = tables.several(("grid", "encoder"), table.pop("encoder", [None]))
    cuts = tables.several(("grid", "top_k"), table.pop("top_k", [None]))
    for cut in cuts:
        if cut is not None:
            tables.count(("grid", "top_k"), cut, 1)
    used = {name for pipeline in pipelines for name in pipeline}
    axes = _axes(tables, "grid", table, stages, used)
    return Grid(pipelines, variants, tuple(encoders), tuple(cuts), axes)


def _pipelines(
    tables: Tables, given: Any, stages: Mapping[str, StageSettings]
) -> tuple[tuple[str, ...], ...]:
    flat = given if isinstance(given, list | tuple) else [given]
    lists = flat if flat and all(isinstance(each, list | tuple) for each in flat) else [flat]
    for names in lists:
        if not names:
            tables.fail(("grid", "stages"), "a pipeline of [grid] has no stages")
        for name in names:
            if not isinstance(name, str) or name not in stages:
                tables.fail(
                    ("grid", "stages"),
                    f"no stage is called {name!r:.80}{nearest(str(name), stages)}",
                )
        if len(set(names)) < len(names):
            tables.fail(
                ("grid", "stages"),
                f"the pipeline {' → '.join(names)} names a stage twice; give it a second "
                "[stages.NAME] with reranker = …",
            )
    return tuple(tuple(names) for names in lists)


def _axes(
    tables: Tables,
    where: str,
    table: Mapping[str, Any],
    stages: Mapping[str, StageSettings],
    used: set[str],
) -> dict[str, dict[str, tuple[Any, ...]]]:
    found: dict[str, dict[str, tuple[Any, ...]]] = {}
    for name, key, values in _flattened(table, stages):
        path = (where, name, key)
        if name not in used:
            tables.fail(path, f"[{where}] sets {name}.{key}, but no pipeline has that stage")
        check_stage_key(tables, path, name, key, stage_keys(tables, name, stages[name].reranker))
        filled = [
            filled_in(value, {"root": str(tables.root)}) for value in tables.several(path, values)
        ]
        found.setdefault(name, {})[key] = tuple(filled)
    return found


def _flattened(table: Mapping[str, Any], stages: Iterable[str]) -> Iterable[tuple[str, str, Any]]:
    """Yield stage, key and values of ``{"filip": {"weight": …}}`` or ``{"filip.weight": …}``."""
    names = set(stages)
    for key, value in table.items():
        name, dot, rest = key.partition(".")
        if dot and name in names:
            yield name, rest, value
        elif isinstance(value, Mapping):
            for inner, values in value.items():
                yield key, inner, values
        else:
            raise InputError(f"ablate: {key} is {value!r:.80}; write {key}.KEY = [values]")
