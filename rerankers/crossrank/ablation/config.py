"""Reading a study: a TOML file, or the same as a mapping; every key is known or refused."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from crossrank.ablation.cache import DEFAULT_LIMIT
from crossrank.ablation.data import Split, joined
from crossrank.ablation.grid import Axes, Grid, read_variants
from crossrank.ablation.settings import StageSettings, shown
from crossrank.ablation.toml_lines import line_of
from crossrank.candidates import Candidates
from crossrank.collection import Collection
from crossrank.contract import Reranker
from crossrank.errors import CrossrankError, InputError, StoreError, UnknownPluginError, nearest
from crossrank.evaluation.significance import Significance
from crossrank.registry import load_reranker

DEFAULT_METRICS = ("R@1", "R@5", "R@10", "MRR")
STAGE_KEYS = ("depth", "fusion", "weight", "normalise", "k")
TABLES: dict[str, tuple[str, ...]] = {
    "": (
        *("name", "directions", "metrics", "data", "stages", "grid", "tune"),
        *("statistics", "slices", "report", "run", "cache"),
    ),
    "data": ("root", "pictures", "report", "tune"),
    "data.report": ("queries", "gallery", "qrels", "run", "depth"),
    "data.tune": ("queries", "gallery", "qrels", "run", "depth"),
    "statistics": ("resamples", "confidence", "seed", "alpha"),
    "slices": ("objects_above",),
    "report": ("cell", "queries", "shown"),
    "run": ("memory_budget", "threads", "device", "dtype", "plugin_cache"),
    "cache": ("folder", "limit"),
}
GRID_KEYS = ("stages", "variants", "encoder", "top_k")


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """All that a configuration says.

    Parameters
    ----------
    name
        The report's title.
    stages
        By name.
    grids, tune_axes
        What becomes cells, and what is chosen on the other split.
    data
        ``"report"`` and perhaps ``"tune"`` → their tables, with paths or ready objects.
    root, pictures
        Folders; `pictures` is None where none was given.
    directions
        None for the one that queries and gallery make.
    metrics
        Columns of the table.
    significance, alpha
        How differences are tested.
    objects_above
        From which score a box counts as an object.
    featured, queries, shown
        Whose queries the report shows, how many of either kind, how many candidates.
    run
        Memory, threads, device, dtype and the plugins' own cache.
    cache_folder, cache_limit
        Of raw scores.
    raw
        The configuration as JSON can hold it.
    text
        The file itself; None for a mapping.
    """

    name: str
    stages: Mapping[str, StageSettings]
    grids: tuple[Grid, ...]
    tune_axes: Axes
    data: Mapping[str, Mapping[str, Any]]
    root: Path
    pictures: Path | None
    directions: tuple[str, ...] | None
    metrics: tuple[str, ...]
    significance: Significance
    alpha: float
    objects_above: float
    featured: str | None
    queries: int
    shown: int
    run: Mapping[str, Any]
    cache_folder: Path | None
    cache_limit: int | str
    raw: Mapping[str, Any] = field(repr=False)
    text: str | None = field(default=None, repr=False)

    @property
    def encoders(self) -> tuple[str | None, ...]:
        """Every value of ``{encoder}``."""
        return tuple(dict.fromkeys(each for grid in self.grids for each in grid.encoders))

    def split(self, name: str, encoder: str | None) -> Split:
        """Open one part of the data.

        Raises
        ------
        StoreError, UnknownIdError, FormatError
            If something is missing or does not fit.
        """
        table = self.data[name]
        folders = {"encoder": encoder, "root": str(self.root)}

        def opened(side: str) -> Collection:
            given = table[side]
            parts = [given] if isinstance(given, str | Path | Collection) else list(given)
            return joined(
                [_collection(part, self.root, folders) for part in parts], f"{name}.{side}"
            )

        qrels = table["qrels"]
        if isinstance(qrels, str | Path):
            qrels = self.root / _filled(str(qrels), folders)
        run = table.get("run")
        if isinstance(run, Mapping) and not isinstance(run, Candidates):
            run = {key: _run(each, self.root, folders) for key, each in run.items()}
        elif run is not None:
            run = _run(run, self.root, folders)
        depth = table.get("depth", 100)
        return Split(opened("queries"), opened("gallery"), qrels, run, depth)


def read_study(config: str | Path | Mapping[str, Any], root: str | Path | None = None) -> Study:
    """Read a configuration.

    Parameters
    ----------
    config
        The path of a TOML file, or a mapping with the same keys.
    root
        In place of ``data.root``.

    Raises
    ------
    InputError
        Naming the line, on a key or value that does not belong there, with the nearest one.
    """
    if isinstance(config, Mapping):
        return _Reader(dict(config), None, Path.cwd(), root).study()
    path = Path(config)
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is no TOML: {error}") from error
    return _Reader(values, text, path, root).study()


class _Reader:
    """Reads one configuration, and knows where its keys stand."""

    def __init__(
        self, values: dict[str, Any], text: str | None, path: Path, root: str | Path | None
    ) -> None:
        self.values, self.text, self.path = values, text, path
        folder = path.parent if text is not None else path
        own = self.table("data").get("root", ".")
        self.root = (Path(root) if root is not None else folder / str(own)).absolute()

    def study(self) -> Study:
        for name, known in TABLES.items():
            self.check_keys(tuple(filter(None, name.split("."))), known)
        stages = self.stages()
        report, statistics, run = self.table("report"), self.table("statistics"), self.table("run")
        cache = self.table("cache")
        pictures = self.table("data").get("pictures")
        grids = self.grids(stages)
        directions = self.values.get("directions")
        return Study(
            name=str(self.values.get("name", "Ablation")),
            stages=stages,
            grids=grids,
            tune_axes=self.tune(stages, grids),
            data=self.data(),
            root=self.root,
            pictures=None if pictures is None else self.root / str(pictures),
            directions=None if directions is None else self.texts(("directions",), directions),
            metrics=self.metrics(),
            significance=self.significance(statistics),
            alpha=self.fraction(("statistics", "alpha"), statistics.get("alpha", 0.05)),
            objects_above=float(self.table("slices").get("objects_above", 0.3)),
            featured=None if report.get("cell") is None else str(report["cell"]),
            queries=self.count(("report", "queries"), report.get("queries", 12), 0),
            shown=self.count(("report", "shown"), report.get("shown", 5), 1),
            run=run,
            cache_folder=None if cache.get("folder") is None else self.root / str(cache["folder"]),
            cache_limit=cache.get("limit", DEFAULT_LIMIT),
            raw=_described(self.values),
            text=self.text,
        )

    def fail(self, path: Sequence[str], message: str) -> NoReturn:
        where = "ablate"
        if self.text is not None:
            line = line_of(self.text, path)
            where = f"{self.path}" if line is None else f"{self.path}:{line}"
        raise InputError(f"{where}: {message.removeprefix('ablate: ')}")

    def table(self, *path: str) -> dict[str, Any]:
        found: Any = self.values
        for key in path:
            found = found.get(key, {})
            if not isinstance(found, Mapping):
                self.fail(path, f"{'.'.join(path)} is {found!r}; it must be a table")
        return dict(found)

    def check_keys(self, path: tuple[str, ...], known: Iterable[str]) -> None:
        known = tuple(known)
        for key in self.table(*path):
            if key not in known:
                where = f"[{'.'.join(path)}]" if path else "the configuration"
                self.fail((*path, key), f"{where} has no key {key!r}{nearest(key, known)}")

    def metrics(self) -> tuple[str, ...]:
        from crossrank.evaluation.measures import parse_measures

        names = self.texts(("metrics",), self.values.get("metrics", DEFAULT_METRICS))
        try:
            parse_measures(names)
        except InputError as error:
            self.fail(("metrics",), str(error))
        return tuple(dict.fromkeys(names))

    def significance(self, table: Mapping[str, Any]) -> Significance:
        known = {key: table[key] for key in ("resamples", "confidence", "seed") if key in table}
        try:
            return Significance(**known)
        except (InputError, TypeError, ValueError) as error:
            self.fail(("statistics",), str(error))

    def data(self) -> dict[str, dict[str, Any]]:
        found = {}
        for name in ("report", "tune"):
            table = self.table("data", name)
            if not table:
                if name == "report":
                    self.fail(("data",), "there is no [data.report]; say what is measured on")
                continue
            for key in ("queries", "gallery", "qrels"):
                if key not in table:
                    self.fail(("data", name), f"[data.{name}] has no {key!r}")
            self.count(("data", name, "depth"), table.get("depth", 100), 1)
            found[name] = table
        return found

    def stages(self) -> dict[str, StageSettings]:
        found = {}
        for name, table in self.table("stages").items():
            if not isinstance(table, Mapping):
                self.fail(("stages", name), f"stages.{name} must be a table")
            values = dict(table)
            reranker = values.pop("reranker", name)
            known = self.stage_keys(name, reranker)
            for key in values:
                self.check_stage_key(("stages", name, key), name, key, known)
            filled = {
                key: _filled_in(value, {"root": str(self.root)}) for key, value in values.items()
            }
            found[name] = StageSettings(name, reranker, filled)
        if not found:
            self.fail(("stages",), "there are no stages; add [stages.NAME]")
        return found

    def stage_keys(self, name: str, reranker: Any) -> tuple[str, ...] | None:
        """Return the keys that a stage may have; None where its reranker cannot be asked."""
        kind = reranker
        if isinstance(reranker, str):
            try:
                kind = load_reranker(reranker)
            except UnknownPluginError as error:
                self.fail(("stages", name), str(error))
            except CrossrankError:
                return None  # its cells will say why
        if isinstance(kind, Reranker) or (isinstance(kind, type) and issubclass(kind, Reranker)):
            fields = dataclasses.fields(kind.Parameters)
            return (*STAGE_KEYS, *(each.name for each in fields if each.init))
        self.fail(("stages", name, "reranker"), f"stages.{name}.reranker is {reranker!r}")

    def check_stage_key(
        self, path: tuple[str, ...], stage: str, key: str, known: tuple[str, ...] | None
    ) -> None:
        if known is not None and key not in known:
            self.fail(path, f"the stage {stage!r} has no key {key!r}{nearest(key, known)}")

    def grids(self, stages: Mapping[str, StageSettings]) -> tuple[Grid, ...]:
        given = self.values.get("grid")
        if not given:
            self.fail(("grid",), "there is no [grid], or it is empty; say which pipelines to run")
        tables = [given] if isinstance(given, Mapping) else list(given)
        return tuple(self.grid(dict(table), stages) for table in tables)

    def grid(self, table: dict[str, Any], stages: Mapping[str, StageSettings]) -> Grid:
        for key in table:
            if key.partition(".")[0] not in (*GRID_KEYS, *stages):
                self.fail(
                    ("grid", key), f"[grid] has no key {key!r}{nearest(key, (*GRID_KEYS, *stages))}"
                )
        pipelines = self.pipelines(table.pop("stages", list(stages)), stages)
        words = table.pop("variants", "as_given")
        try:
            variants = read_variants(words)
        except InputError as error:
            self.fail(("grid", "variants"), str(error))
        encoders = self.several(("grid", "encoder"), table.pop("encoder", [None]))
        cuts = self.several(("grid", "top_k"), table.pop("top_k", [None]))
        for cut in cuts:
            if cut is not None:
                self.count(("grid", "top_k"), cut, 1)
        used = {name for pipeline in pipelines for name in pipeline}
        axes = self.axes("grid", table, stages, used)
        return Grid(pipelines, variants, tuple(encoders), tuple(cuts), axes)

    def pipelines(
        self, given: Any, stages: Mapping[str, StageSettings]
    ) -> tuple[tuple[str, ...], ...]:
        flat = given if isinstance(given, list | tuple) else [given]
        lists = flat if flat and all(isinstance(each, list | tuple) for each in flat) else [flat]
        for names in lists:
            if not names:
                self.fail(("grid", "stages"), "a pipeline of [grid] has no stages")
            for name in names:
                if name not in stages:
                    self.fail(
                        ("grid", "stages"),
                        f"no stage is called {name!r}{nearest(str(name), stages)}",
                    )
            if len(set(names)) < len(names):
                self.fail(
                    ("grid", "stages"),
                    f"the pipeline {' → '.join(names)} names a stage twice; give it a second "
                    "[stages.NAME] with reranker = …",
                )
        return tuple(tuple(names) for names in lists)

    def tune(self, stages: Mapping[str, StageSettings], grids: Sequence[Grid]) -> Axes:
        table = self.table("tune")
        for key in table:
            if key.partition(".")[0] not in stages:
                self.fail(("tune", key), f"[tune] has no key {key!r}{nearest(key, stages)}")
        used = {name for grid in grids for pipeline in grid.pipelines for name in pipeline}
        axes = self.axes("tune", table, stages, used)
        if axes and not self.table("data", "tune"):
            self.fail(("tune",), "[tune] needs [data.tune], a split that is not reported on")
        if self.table("data", "tune") and not axes:
            self.fail(("data", "tune"), "[data.tune] is not used; add [tune] with what to choose")
        return axes

    def axes(
        self,
        where: str,
        table: Mapping[str, Any],
        stages: Mapping[str, StageSettings],
        used: set[str],
    ) -> dict[str, dict[str, tuple[Any, ...]]]:
        found: dict[str, dict[str, tuple[Any, ...]]] = {}
        for name, key, values in _flattened(table, stages):
            path = (where, name, key)
            if name not in used:
                self.fail(path, f"[{where}] sets {name}.{key}, but no pipeline has that stage")
            self.check_stage_key(path, name, key, self.stage_keys(name, stages[name].reranker))
            filled = [
                _filled_in(value, {"root": str(self.root)}) for value in self.several(path, values)
            ]
            found.setdefault(name, {})[key] = tuple(filled)
        return found

    def several(self, path: tuple[str, ...], given: Any) -> list[Any]:
        values = list(given) if isinstance(given, list | tuple | range) else [given]
        if not values:
            self.fail(path, f"{'.'.join(path)} is empty; give at least one value")
        return values

    def texts(self, path: tuple[str, ...], given: Any) -> tuple[str, ...]:
        values = self.several(path, given)
        if not all(isinstance(each, str) for each in values):
            self.fail(path, f"{'.'.join(path)} is {given!r}; give texts")
        return tuple(values)

    def count(self, path: tuple[str, ...], given: Any, least: int) -> int:
        if isinstance(given, bool) or not isinstance(given, int) or given < least:
            self.fail(path, f"{'.'.join(path)} is {given!r}; give a whole number from {least}")
        return given

    def fraction(self, path: tuple[str, ...], given: Any) -> float:
        if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < 1:
            self.fail(path, f"{'.'.join(path)} is {given!r}; give a number between 0 and 1")
        return float(given)


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
            raise InputError(f"ablate: {key} is {value!r}; write {key}.KEY = [values]")


def _collection(given: Any, root: Path, folders: Mapping[str, str | None]) -> Collection:
    if isinstance(given, Collection):
        return given
    return Collection.open(root / _filled(str(given), folders))


def _run(given: Any, root: Path, folders: Mapping[str, str | None]) -> Candidates:
    if isinstance(given, Candidates):
        return given
    return Candidates.from_trec(root / _filled(str(given), folders))


def _filled(text: str, folders: Mapping[str, str | None]) -> str:
    for name, value in folders.items():
        if f"{{{name}}}" in text:
            if value is None:
                raise InputError(
                    f'ablate: {text!r} names {{{name}}}, but [grid] has no {name} = ["…"]'
                )
            text = text.replace(f"{{{name}}}", value)
    return text


def _filled_in(value: Any, folders: Mapping[str, str | None]) -> Any:
    if isinstance(value, str):
        return _filled(value, folders)
    if isinstance(value, list):
        return [_filled_in(member, folders) for member in value]
    return value


def _described(values: Mapping[str, Any]) -> dict[str, Any]:
    def told(value: Any) -> Any:
        if isinstance(value, Collection):
            return repr(value)
        if isinstance(value, Mapping):
            return {str(key): told(member) for key, member in value.items()}
        if isinstance(value, list | tuple):
            return [told(member) for member in value]
        if isinstance(value, Candidates):
            return f"{len(value)} lists of candidates"
        if isinstance(value, type):
            return f"{value.__module__}.{value.__qualname__}"
        return shown(value)

    described: dict[str, Any] = told(values)
    return described
