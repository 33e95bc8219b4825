"""The plan of a study: all that its configuration says, and the data it names, opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossrank._items.collection import Collection
from crossrank._lists.candidates import Candidates
from crossrank.evaluation._significance import Significance
from crossrank_ablation.data import joined
from crossrank_ablation.grid import Axes, Grid
from crossrank_ablation.placeholders import filled
from crossrank_ablation.settings import StageSettings
from crossrank_ablation.task import Split


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """All that a configuration says; docs/ablations.md goes through it.

    `data` has ``"report"`` and perhaps ``"tune"``, whose tables hold paths or ready objects.
    Without `pictures` none are looked for; without `directions` it is the one that queries and
    gallery make.  `raw` is the configuration as JSON can hold it, `text` the file itself, None for
    a mapping.
    """

    name: str
    stages: Mapping[str, StageSettings]
    grids: tuple[Grid, ...]
    tune_axes: Axes
    data: Mapping[str, Mapping[str, Any]]
    root: Path
    verify: bool
    pictures: Path | None
    directions: tuple[str, ...] | None
    metrics: tuple[str, ...]
    significance: Significance
    alpha: float
    objects_above: float
    featured: str | None
    queries: int
    shown: int
    machine: bool
    run: Mapping[str, Any]
    cache_folder: Path | None
    cache_limit: int | str
    learned: tuple[str, ...]
    raw: Mapping[str, Any] = field(repr=False)
    text: str | None = field(default=None, repr=False)

    @property
    def encoders(self) -> tuple[str | None, ...]:
        """Every value of ``{encoder}``."""
        return tuple(dict.fromkeys(each for grid in self.grids for each in grid.encoders))

    def split(self, name: str, encoder: str | None) -> Split:
        """Open one part of the data."""
        table = self.data[name]
        folders = {"encoder": encoder, "root": str(self.root)}

        def opened(side: str) -> Collection:
            given = table[side]
            parts = [given] if isinstance(given, str | Path | Collection) else list(given)
            return joined(
                [_collection(part, self.root, folders, self.verify) for part in parts],
                f"{name}.{side}",
            )

        qrels = table["qrels"]
        if isinstance(qrels, str | Path):
            qrels = self.root / filled(str(qrels), folders)
        run = table.get("run")
        if isinstance(run, Mapping) and not isinstance(run, Candidates):
            run = {key: _run(each, self.root, folders) for key, each in run.items()}
        elif run is not None:
            run = _run(run, self.root, folders)
        depth = table.get("depth", 100)
        return Split(opened("queries"), opened("gallery"), qrels, run, depth)


def _collection(
    given: Any, root: Path, folders: Mapping[str, str | None], verify: bool
) -> Collection:
    if isinstance(given, Collection):
        return given
    return Collection.open(root / filled(str(given), folders), verify=verify)


def _run(given: Any, root: Path, folders: Mapping[str, str | None]) -> Candidates:
    if isinstance(given, Candidates):
        return given
    return Candidates.from_trec(root / filled(str(given), folders))
