"""Reading a study: a TOML file, or the same as a mapping; every key is known or refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossrank._items.collection import Collection
from crossrank._lists.candidates import Candidates
from crossrank.errors import InputError, StoreError, nearest
from crossrank.evaluation._measures import parse_measures
from crossrank.evaluation._significance import Significance
from crossrank.plugin.files import check_regular, parse_toml
from crossrank_ablation.cache import DEFAULT_LIMIT
from crossrank_ablation.config_grid import read_grids, read_tune
from crossrank_ablation.config_stages import read_stages
from crossrank_ablation.config_tables import Tables
from crossrank_ablation.learned import METHODS
from crossrank_ablation.plan import Study
from crossrank_ablation.settings import shown

DEFAULT_METRICS = ("R@1", "R@5", "R@10", "MRR")
TABLES: dict[str, tuple[str, ...]] = {
    "": (
        *("name", "directions", "metrics", "data", "stages", "grid", "tune"),
        *("statistics", "slices", "report", "run", "cache", "fuse"),
    ),
    "data": ("root", "pictures", "verify", "report", "tune"),
    "data.report": ("queries", "gallery", "qrels", "run", "depth"),
    "data.tune": ("queries", "gallery", "qrels", "run", "depth"),
    "statistics": ("resamples", "confidence", "seed", "alpha"),
    "slices": ("objects_above",),
    "report": ("cell", "queries", "shown", "machine"),
    "run": ("memory_budget", "threads", "device", "dtype", "plugin_cache"),
    "cache": ("folder", "limit"),
    "fuse": ("methods",),
}


def read_study(config: str | Path | Mapping[str, Any], root: str | Path | None = None) -> Study:
    """Read a configuration, of a TOML file or a mapping; `root` stands in place of ``data.root``.

    A key or a value that does not belong there is refused with its line and the nearest one.
    """
    if isinstance(config, Mapping):
        return _study(Tables(dict(config), None, Path.cwd(), root))
    path = Path(config)
    try:
        check_regular(path)
        text = path.read_text(encoding="utf-8")
        values = parse_toml(text)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is no TOML: {error}") from error
    return _study(Tables(values, text, path, root))


def _study(tables: Tables) -> Study:
    for name, known in TABLES.items():
        tables.check_keys(tuple(filter(None, name.split("."))), known)
    stages = read_stages(tables)
    report, statistics, cache = map(tables.table, ("report", "statistics", "cache"))
    pictures = tables.table("data").get("pictures")
    grids = read_grids(tables, stages)
    directions = tables.values.get("directions")
    return Study(
        name=str(tables.values.get("name", "Ablation")),
        stages=stages,
        grids=grids,
        tune_axes=read_tune(tables, stages, grids),
        data=_data(tables),
        root=tables.root,
        verify=tables.flag(("data", "verify"), tables.table("data").get("verify", False)),
        pictures=None if pictures is None else tables.root / str(pictures),
        directions=None if directions is None else tables.texts(("directions",), directions),
        metrics=_metrics(tables),
        significance=_significance(tables, statistics),
        alpha=tables.fraction(("statistics", "alpha"), statistics.get("alpha", 0.05)),
        objects_above=tables.number(
            ("slices", "objects_above"), tables.table("slices").get("objects_above", 0.3)
        ),
        featured=None if report.get("cell") is None else str(report["cell"]),
        queries=tables.count(("report", "queries"), report.get("queries", 12), 0),
        shown=tables.count(("report", "shown"), report.get("shown", 5), 1),
        machine=tables.flag(("report", "machine"), report.get("machine", True)),
        run=tables.table("run"),
        cache_folder=None if cache.get("folder") is None else tables.root / str(cache["folder"]),
        cache_limit=cache.get("limit", DEFAULT_LIMIT),
        learned=_learned(tables),
        raw=_described(tables.values),
        text=tables.text,
    )


def _metrics(tables: Tables) -> tuple[str, ...]:
    names = tables.texts(("metrics",), tables.values.get("metrics", DEFAULT_METRICS))
    try:
        parse_measures(names)
    except InputError as error:
        tables.fail(("metrics",), str(error))
    return tuple(dict.fromkeys(names))


def _learned(tables: Tables) -> tuple[str, ...]:
    table = tables.table("fuse")
    if not table:
        return ()
    names = tables.texts(("fuse", "methods"), table.get("methods", ("weights",)))
    for name in names:
        if name not in METHODS:
            tables.fail(("fuse", "methods"), f"no method {name!r:.80}{nearest(name, METHODS)}")
    if not tables.table("data", "tune"):
        tables.fail(("fuse",), "[fuse] learns on [data.tune], which is not there")
    return tuple(dict.fromkeys(names))


def _significance(tables: Tables, table: Mapping[str, Any]) -> Significance:
    known = {key: table[key] for key in ("resamples", "confidence", "seed") if key in table}
    try:
        return Significance(**known)
    except (InputError, TypeError, ValueError) as error:
        tables.fail(("statistics",), str(error))


def _data(tables: Tables) -> dict[str, dict[str, Any]]:
    found = {}
    for name in ("report", "tune"):
        table = tables.table("data", name)
        if not table:
            if name == "report":
                tables.fail(("data",), "there is no [data.report]; say what is measured on")
            continue
        for key in ("queries", "gallery", "qrels"):
            if key not in table:
                tables.fail(("data", name), f"[data.{name}] has no {key!r:.80}")
        for key in ("queries", "gallery"):
            given = table[key]
            parts = given if isinstance(given, list | tuple) else [given]
            if not parts or not all(isinstance(each, str | Path | Collection) for each in parts):
                tables.fail(
                    ("data", name, key),
                    f"{key} is {given!r:.80}; give a collection or its folder, or a list of them",
                )
        tables.count(("data", name, "depth"), table.get("depth", 100), 1)
        found[name] = table
    return found


def _described(values: Mapping[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, Collection):
            return repr(value)
        if isinstance(value, Mapping):
            return {str(key): plain(member) for key, member in value.items()}
        if isinstance(value, list | tuple):
            return [plain(member) for member in value]
        if isinstance(value, Candidates):
            return f"{len(value)} lists of candidates"
        if isinstance(value, type):
            return f"{value.__module__}.{value.__qualname__}"
        return shown(value)

    described: dict[str, Any] = plain(values)
    return described
