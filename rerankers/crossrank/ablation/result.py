"""The result of a study: cells with their metrics, tests, cost and all that stands behind them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossrank.ablation.slices import SliceGain
from crossrank.ablation.statistics import Comparison
from crossrank.atomic import atomic_file
from crossrank.errors import FormatError, UnknownIdError, nearest
from crossrank.evaluation.significance import Significance

if TYPE_CHECKING:
    from crossrank.ablation.gallery import Gallery

FORMAT, VERSION = "crossrank ablation", 1


@dataclass(frozen=True, slots=True)
class Cost:
    """What a pipeline takes, from the speed at which its stages scored when they did.

    Parameters
    ----------
    pairs
        Distinct pairs that any of its stages looks at.
    seconds
        For all of them, scoring and fusing; without preparing.
    prepare_seconds
        What its rerankers prepared, once per run.
    queries
        How many lists there are.
    """

    pairs: int = 0
    seconds: float = 0.0
    prepare_seconds: float = 0.0
    queries: int = 0

    @property
    def pairs_per_second(self) -> float | None:
        """None where nothing took time."""
        return self.pairs / self.seconds if self.seconds > 0 else None

    @property
    def milliseconds_per_query(self) -> float | None:
        """None where there is no query."""
        return 1000 * self.seconds / self.queries if self.queries else None

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them."""
        return {
            **asdict(self),
            "pairs_per_second": self.pairs_per_second,
            "milliseconds_per_query": self.milliseconds_per_query,
        }


@dataclass(frozen=True, slots=True, eq=False)
class CellResult:
    """One row of the table.

    Parameters
    ----------
    name, direction, encoder, top_k, note
        What it is; the name ``"base"`` is the base run.
    stages
        Its settings, with what was tuned filled in.
    status
        ``"done"``, ``"failed"`` or ``"not applicable"``.
    error
        Why it is not done.
    metrics
        Metric → value.
    comparisons
        Other run → metric → `Comparison`: against the base, and the whole pipeline.
    tuned
        Stage → key → value that was chosen, and ``metric`` → value on the other split.
    scorer_calls, pairs_scored, pairs_from_cache, pairs_shared
        What was done for this cell and not for one before it: calls of ``score`` and pairs scored
        in this process; pairs read from disk; pairs known from earlier cells.
    cost
        What it takes to run it alone.
    slices
        The difference to the base in the first metric, by group of queries.
    run
        Where its run file lies in the study's folder, if it was kept.
    first_ranks
        ``[N]`` the rank of each query's first relevant item, infinite for a miss.
    foreign
        ``[N]`` of each measure that is ir-measures'.
    """

    name: str
    direction: str
    encoder: str | None = None
    top_k: int | None = None
    note: str = ""
    stages: tuple[Mapping[str, Any], ...] = ()
    status: str = "done"
    error: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    comparisons: Mapping[str, Mapping[str, Comparison]] = field(default_factory=dict)
    tuned: Mapping[str, Any] = field(default_factory=dict)
    scorer_calls: int = 0
    pairs_scored: int = 0
    pairs_from_cache: int = 0
    pairs_shared: int = 0
    cost: Cost = field(default_factory=Cost)
    slices: tuple[SliceGain, ...] = ()
    run: str = ""
    first_ranks: NDArray[np.float64] | None = field(default=None, repr=False)
    foreign: Mapping[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)

    @property
    def is_base(self) -> bool:
        """Whether this is a base run."""
        return not self.stages and self.status == "done"

    @property
    def against(self) -> str | None:
        """The run that its table shows the difference to: the base; None for a base run."""
        return next(iter(self.comparisons), None)

    def to_dict(self, per_query: bool = True) -> dict[str, Any]:
        """Return the cell as JSON can hold it."""
        record: dict[str, Any] = {
            "name": self.name,
            "direction": self.direction,
            "encoder": self.encoder,
            "top_k": self.top_k,
            "note": self.note,
            "status": self.status,
            "error": self.error,
            "stages": [dict(stage) for stage in self.stages],
            "tuned": dict(self.tuned),
            "metrics": dict(self.metrics),
            "comparisons": {
                other: {metric: asdict(each) for metric, each in row.items()}
                for other, row in self.comparisons.items()
            },
            "run": self.run,
            "scorer_calls": self.scorer_calls,
            "pairs_scored": self.pairs_scored,
            "pairs_from_cache": self.pairs_from_cache,
            "pairs_shared": self.pairs_shared,
            "cost": self.cost.to_dict(),
            "slices": [each.to_dict() for each in self.slices],
        }
        if per_query and self.first_ranks is not None:
            record["first_ranks"] = [None if math.isinf(r) else int(r) for r in self.first_ranks]
            record["per_query"] = {name: row.tolist() for name, row in self.foreign.items()}
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> CellResult:
        """Read what `to_dict` gave."""
        ranks = record.get("first_ranks")
        cost = record["cost"]
        return cls(
            **{
                name: record[name]
                for name in (
                    *("name", "direction", "encoder", "top_k", "note", "status", "error", "tuned"),
                    *("metrics", "scorer_calls", "pairs_scored", "pairs_from_cache"),
                    *("pairs_shared", "run"),
                )
            },
            stages=tuple(record["stages"]),
            comparisons={
                other: {metric: Comparison(**each) for metric, each in row.items()}
                for other, row in record["comparisons"].items()
            },
            cost=Cost(cost["pairs"], cost["seconds"], cost["prepare_seconds"], cost["queries"]),
            slices=tuple(SliceGain(**each) for each in record["slices"]),
            first_ranks=None
            if ranks is None
            else np.array([np.inf if r is None else r for r in ranks], np.float64),
            foreign={k: np.array(v) for k, v in record.get("per_query", {}).items()},
        )


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """The queries of one direction.

    Parameters
    ----------
    ids
        N of them.
    clusters
        ``[N]`` the cluster of each.
    miss
        The rank that MedR and MeanR count for a miss.
    notes
        What a reader has to know.
    """

    ids: tuple[str, ...]
    clusters: NDArray[np.int64]
    miss: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class AblationResult:
    """All of a study.

    Parameters
    ----------
    name
        Its title.
    metrics
        The columns; the first one decides.
    cells
        Base runs and pipelines, in order, of every direction.
    queries
        By direction.
    significance, alpha
        How differences were tested.
    config
        The configuration.
    provenance
        Versions, host, fingerprints, times.
    drawing
        The tree of runs, see `crossrank.ablation.tree.drawing`.
    tried
        Every setting that was measured on ``[data.tune]``.
    galleries
        Makes the galleries of the report, when it is written.
    graph
        The tree itself, a networkx DiGraph; None for a result read from a file.
    """

    name: str
    metrics: tuple[str, ...]
    cells: tuple[CellResult, ...]
    queries: Mapping[str, Queries]
    significance: Significance
    alpha: float
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    provenance: Mapping[str, Any] = field(default_factory=dict, repr=False)
    drawing: Sequence[Mapping[str, Any]] = field(default_factory=tuple, repr=False)
    tried: Sequence[Mapping[str, Any]] = field(default_factory=tuple, repr=False)
    galleries: Callable[[], Sequence[Gallery]] | None = field(default=None, repr=False)
    graph: Any = field(default=None, repr=False)

    @property
    def directions(self) -> tuple[str, ...]:
        """In the order they were run."""
        return tuple(self.queries)

    @property
    def failed(self) -> tuple[CellResult, ...]:
        """The cells that failed."""
        return tuple(cell for cell in self.cells if cell.status == "failed")

    @property
    def scorer_calls(self) -> int:
        """How often any ``score`` was called, for the cells and to choose settings."""
        choosing = self.provenance.get("choosing", {}).get("scorer_calls", 0)
        return int(choosing) + sum(cell.scorer_calls for cell in self.cells)

    def of(self, direction: str) -> tuple[CellResult, ...]:
        """Return the cells of a direction, base runs first."""
        return tuple(cell for cell in self.cells if cell.direction == direction)

    def cell(self, name: str, direction: str | None = None) -> CellResult:
        """Return a cell by its name.

        Raises
        ------
        UnknownIdError
            If there is none.
        """
        wanted = self.directions[0] if direction is None else direction
        for cell in self.of(wanted):
            if cell.name == name:
                return cell
        names = [cell.name for cell in self.of(wanted)]
        raise UnknownIdError(f"no cell is called {name!r} ({wanted}){nearest(name, names)}")

    def best(self, direction: str) -> CellResult | None:
        """Return the pipeline that is best by the first metric."""
        from crossrank.ablation.measuring import LOWER_IS_BETTER

        sign = -1 if self.metrics[0] in LOWER_IS_BETTER else 1
        done = [cell for cell in self.of(direction) if cell.status == "done" and cell.stages]
        return max(done, key=lambda cell: sign * cell.metrics[self.metrics[0]], default=None)

    def tree(self) -> Any:
        """Return the runs as a networkx DiGraph."""
        return self.graph

    def __str__(self) -> str:
        """Return the tables as text."""
        from crossrank.ablation.tables import to_text

        return to_text(self)

    def to_markdown(self) -> str:
        """Return the tables as Markdown."""
        from crossrank.ablation.tables import to_markdown

        return to_markdown(self)

    def to_latex(self) -> str:
        """Return the tables as LaTeX, for the package booktabs."""
        from crossrank.ablation.tables import to_latex

        return to_latex(self)

    def to_csv(self) -> str:
        """Return every cell and metric as a line of comma-separated values."""
        from crossrank.ablation.tables import to_csv

        return to_csv(self)

    def to_dict(self, per_query: bool = True) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "name": self.name,
            "metrics": list(self.metrics),
            "statistics": {**asdict(self.significance), "alpha": self.alpha},
            "directions": {
                direction: {
                    "queries": len(each.ids),
                    "cluster_count": len(np.unique(each.clusters)),
                    "miss": each.miss,
                    "notes": list(each.notes),
                    **(
                        {"query_ids": list(each.ids), "clusters": each.clusters.tolist()}
                        if per_query
                        else {}
                    ),
                }
                for direction, each in self.queries.items()
            },
            "cells": [cell.to_dict(per_query) for cell in self.cells],
            "scorer_calls": self.scorer_calls,
            "failed": len(self.failed),
            "tree": [dict(node) for node in self.drawing],
            "tried": [dict(each) for each in self.tried],
            "config": dict(self.config),
            "provenance": dict(self.provenance),
        }

    def save(self, folder: str | Path) -> None:
        """Write everything into a folder; a file appears when it is complete."""
        from crossrank.ablation.outputs import write

        write(self, Path(folder))

    @classmethod
    def open(cls, path: str | Path) -> AblationResult:
        """Read a ``result.json``.

        Raises
        ------
        FormatError
            If it is none.
        """
        path = Path(path)
        try:
            record = json.loads(path.read_bytes())
        except OSError as error:
            raise FormatError(f"{path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise FormatError(f"{path} is no JSON: {error}") from error
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise FormatError(f"{path} is no result of crossrank ablate")
        if record.get("version") != VERSION:
            raise FormatError(
                f"{path} has version {record.get('version')}, this crossrank reads {VERSION}"
            )
        try:
            return cls._from_dict(record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"{path} is not complete: {error!r}; run the study again") from error

    @classmethod
    def _from_dict(cls, record: Mapping[str, Any]) -> AblationResult:
        statistics = dict(record["statistics"])
        alpha = statistics.pop("alpha")
        return cls(
            name=record["name"],
            metrics=tuple(record["metrics"]),
            cells=tuple(CellResult.from_dict(each) for each in record["cells"]),
            queries={
                direction: Queries(
                    tuple(each["query_ids"]),
                    np.array(each["clusters"], np.int64),
                    each["miss"],
                    tuple(each["notes"]),
                )
                for direction, each in record["directions"].items()
            },
            significance=Significance(**statistics),
            alpha=alpha,
            config=record["config"],
            provenance=record["provenance"],
            drawing=record["tree"],
            tried=record["tried"],
        )


def write_json(path: Path, value: Any) -> None:
    """Write one JSON document that appears when it is complete; what is not finite as null."""
    from crossrank.cli.printing import plain

    with atomic_file(path) as file:
        json.dump(plain(value), file, ensure_ascii=False, allow_nan=False)
        file.write("\n")
