"""One row of the table: what a cell was, what it measured, how it differs from others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank_ablation.cost import Cost
from crossrank_ablation.slices import SliceGain
from crossrank_ablation.statistics import Comparison

ABOUT = ("name", "direction", "encoder", "top_k", "note", "status", "error")
COUNTS = ("scorer_calls", "pairs_scored", "pairs_from_cache", "pairs_shared")


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
    learned
        Whether its fusion was learned on the other split; `tuned` has the weights then.
    transductive
        Whether its scores depend on the other queries.
    ceiling
        The share of queries, in per cent, with a relevant candidate among those that its last
        stage saw: what a perfect one would put first; None without a stage.
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
    learned: bool = False
    transductive: bool = False
    ceiling: float | None = None

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
            **{name: getattr(self, name) for name in ABOUT},
            "stages": [dict(stage) for stage in self.stages],
            "tuned": dict(self.tuned),
            "metrics": dict(self.metrics),
            "comparisons": {
                other: {metric: asdict(each) for metric, each in row.items()}
                for other, row in self.comparisons.items()
            },
            "run": self.run,
            "learned": self.learned,
            "looks_at_other_queries": self.transductive,
            "ceiling": self.ceiling,
            **{name: getattr(self, name) for name in COUNTS},
            "cost": self.cost.to_dict(),
            "slices": [asdict(each) for each in self.slices],
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
            **{name: record[name] for name in (*ABOUT, *COUNTS, "tuned", "metrics", "run")},
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
            learned=bool(record.get("learned", False)),
            transductive=bool(record.get("looks_at_other_queries", False)),
            ceiling=record.get("ceiling"),
        )
