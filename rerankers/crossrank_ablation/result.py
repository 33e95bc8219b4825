"""The result of a study: cells with their metrics, tests, cost and all that stands behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import FormatError, UnknownIdError, nearest
from crossrank.evaluation._significance import Significance
from crossrank.plugin.files import read_json
from crossrank_ablation import csv_table, latex, tables
from crossrank_ablation.cell_result import CellResult
from crossrank_ablation.measuring import LOWER_IS_BETTER
from crossrank_ablation.stories import Gallery
from crossrank_ablation.tree import as_graph

FORMAT, VERSION = "crossrank ablation", 1


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """The N queries of one direction, and ``[N]`` the cluster of each.

    `miss` is the rank that MedR and MeanR count for a miss; the notes are for whoever reads.
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
        The tree of runs, see `crossrank_ablation.tree.drawing`.
    tried
        Every setting that was measured on ``[data.tune]``.
    galleries
        Makes the galleries of the report, when it is written; a pickled result has none.
    grown
        The tree itself, see `crossrank_ablation.tree.grow`; None for a result read from a file.
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
    grown: Any = field(default=None, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # the galleries hold all that was run, and the report is written
        told = {each.name: getattr(self, each.name) for each in fields(self)} | {"galleries": None}
        return type(self), tuple(told.values())

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
        """Return the pipeline that is best by the first metric, learned fusions left out."""
        sign = -1 if self.metrics[0] in LOWER_IS_BETTER else 1
        done = [
            cell
            for cell in self.of(direction)
            if cell.status == "done" and cell.stages and not cell.learned
        ]
        return max(done, key=lambda cell: sign * cell.metrics[self.metrics[0]], default=None)

    def tree(self) -> Any:
        """Return the runs as a `networkx.DiGraph`; None for a result read from a file.

        Raises
        ------
        MissingPackageError
            If networkx is not installed.
        """
        return None if self.grown is None else as_graph(self.grown)

    def __str__(self) -> str:
        """Return the tables as text."""
        return tables.to_text(self)

    def _repr_html_(self) -> str:
        return tables.to_html(self)

    def to_markdown(self) -> str:
        """Return the tables as Markdown."""
        return tables.to_markdown(self)

    def to_latex(self) -> str:
        """Return the tables as LaTeX, for the package booktabs."""
        return latex.to_latex(self)

    def to_csv(self) -> str:
        """Return every cell and metric as a line of comma-separated values."""
        return csv_table.to_csv(self)

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
        from crossrank_ablation.outputs import write  # and with it what reads pictures

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
            record = read_json(path)
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
