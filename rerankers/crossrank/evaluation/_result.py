"""The result of an evaluation: a frozen table with what stands behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._items.showing import escaped, table
from crossrank.errors import UnknownIdError, nearest
from crossrank.evaluation._significance import Significance
from crossrank.evaluation._table import Cells, markdown_table, text_table, value_text
from crossrank.evaluation._ties import Ties


@dataclass(frozen=True, slots=True)
class Gain:
    """What a system adds to the baseline, in one measure.

    Parameters
    ----------
    difference
        Its value minus the baseline's; below 0 is better for MedR and MeanR.
    low, high
        Ends of the bootstrap interval around it; None where not computed.
    p_value
        Of the paired randomisation test, two-sided; None where not computed.
    """

    difference: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Systems side by side over the same queries.

    Parameters
    ----------
    metrics
        The columns.
    rows
        System → metric → value.  ``evaluation["reranked"]["R@1"]`` is short for it.
    gains
        System → metric → `Gain` over the baseline, for every other system.
    baseline
        The system that the others are held against.
    query_ids
        The Q queries of the qrels.
    per_query
        System → metric → ``[Q]`` values per query.
    clusters
        ``[Q]`` the cluster of each query.
    significance
        How gains were tested.
    direction
        ``"t2i"``, ``"i2t"``, …, where it is known.
    notes
        What a reader of the table has to know: misses, missing lists, ids that match nothing.
    ties
        System → `Ties`, for those in which equal scores leave something open.
    """

    metrics: tuple[str, ...]
    rows: Mapping[str, Mapping[str, float]]
    gains: Mapping[str, Mapping[str, Gain]]
    baseline: str
    query_ids: tuple[str, ...]
    per_query: Mapping[str, Mapping[str, NDArray[np.float64]]] = field(repr=False)
    clusters: NDArray[np.int64] = field(repr=False)
    significance: Significance = field(default_factory=Significance)
    direction: str | None = None
    notes: tuple[str, ...] = ()
    ties: Mapping[str, Ties] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The systems, in the order they were given."""
        return tuple(self.rows)

    def __getitem__(self, name: str) -> Mapping[str, float]:
        """Return a system's values by metric.

        Raises
        ------
        UnknownIdError
            If there is no such system.
        """
        try:
            return self.rows[name]
        except KeyError:
            raise UnknownIdError(f"no system {name!r}{nearest(name, self.rows)}") from None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Evaluation):
            return NotImplemented
        return self.to_dict(per_query=True) == other.to_dict(per_query=True)

    __hash__ = None  # type: ignore[assignment]  # equal by content

    def __str__(self) -> str:
        """Return an aligned table with its notes."""
        lines = [self._title(), "", *text_table(self._cells())]
        return "\n".join([*lines, *(f"* {note}" for note in self._footnotes())])

    def to_markdown(self) -> str:
        """Return the same as a Markdown table."""
        notes = "".join(f"\n* {note}" for note in self._footnotes())
        table = "\n".join(markdown_table(self._cells()))
        return f"**{self._title()}**\n\n{table}\n{notes}".rstrip() + "\n"

    def _repr_html_(self) -> str:
        head, *rows = self._cells()
        notes = "".join(f"<p>{escaped(note)}</p>" for note in self._footnotes())
        return table(self._title(), head, rows) + notes

    def to_dict(self, per_query: bool = False) -> dict[str, Any]:
        """Return everything as JSON can hold it.

        Parameters
        ----------
        per_query
            Whether to add ``query_ids``, ``clusters`` and ``per_query``.
        """
        result: dict[str, Any] = {
            "direction": self.direction,
            "queries": len(self.query_ids),
            "cluster_count": self._cluster_count(),
            "baseline": self.baseline,
            "metrics": list(self.metrics),
            "rows": {name: dict(row) for name, row in self.rows.items()},
            "gains": {
                name: {metric: asdict(gain) for metric, gain in row.items()}
                for name, row in self.gains.items()
            },
            "significance": asdict(self.significance),
            "notes": list(self.notes),
        }
        if self.ties:
            result["ties"] = {name: asdict(each) for name, each in self.ties.items()}
        if per_query:
            result["query_ids"] = list(self.query_ids)
            result["clusters"] = self.clusters.tolist()
            result["per_query"] = {
                name: {metric: values.tolist() for metric, values in row.items()}
                for name, row in self.per_query.items()
            }
        return result

    def _cluster_count(self) -> int:
        return len(np.unique(self.clusters))

    def _title(self) -> str:
        lead = "" if self.direction is None else f"{self.direction}: "
        return f"{lead}{len(self.query_ids):,} queries"

    def _cells(self) -> Cells:
        cells: Cells = [["", *self.metrics]]
        for name, row in self.rows.items():
            cells.append([name, *(value_text(each, row[each]) for each in self.metrics)])
            if name in self.gains:
                cells.extend(self._gain_cells(self.gains[name]))
        return cells

    def _gain_cells(self, gains: Mapping[str, Gain]) -> Cells:
        differences, intervals, values = ["  gain"], [f"  {self._confidence()}"], ["  p"]
        for metric in self.metrics:
            gain = gains[metric]
            differences.append(value_text(metric, gain.difference, sign=True))
            tested = gain.low is not None and gain.high is not None and gain.p_value is not None
            ends = (gain.low, gain.high) if tested else ()
            intervals.append(" … ".join(value_text(metric, end or 0.0, sign=True) for end in ends))
            values.append("" if gain.p_value is None else f"{gain.p_value:.4f}")
        return [differences, *([intervals, values] if any(values[1:]) else [])]

    def _confidence(self) -> str:
        return f"{100 * self.significance.confidence:g} %"

    def _footnotes(self) -> list[str]:
        tested = any(
            gain.p_value is not None for row in self.gains.values() for gain in row.values()
        )
        if not tested:
            return list(self.notes)
        how, clusters = self.significance, self._cluster_count()
        units = (
            "queries" if clusters == len(self.query_ids) else f"{clusters:,} clusters of queries"
        )
        return [
            f"gain over {self.baseline!r}: {self._confidence()} {how.method} bootstrap interval "
            f"and p of a paired randomisation test over {units}; {how.resamples:,} resamples, "
            f"seed {how.seed}",
            *self.notes,
        ]
