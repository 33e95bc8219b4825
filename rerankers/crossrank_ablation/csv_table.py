"""A result as comma-separated values."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossrank_ablation.result import AblationResult

CSV_FIELDS = (
    *("direction", "cell", "encoder", "note", "status", "metric", "value", "against"),
    *("difference", "low", "high", "p_value", "p_holm", "p_t", "p_t_holm"),
    *("wins", "ties", "losses", "error"),
)


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With what spreadsheets take a text for a formula."""


def to_csv(result: AblationResult) -> str:
    """Return a line per cell, metric and comparison."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_FIELDS, lineterminator="\n")
    writer.writeheader()
    for cell in result.cells:
        shared: dict[str, Any] = {
            "direction": cell.direction,
            "cell": cell.name,
            "encoder": cell.encoder or "",
            "note": cell.note,
            "status": cell.status,
            "error": cell.error,
        }
        if cell.status != "done":
            writer.writerow(no_formulas(shared))
        for metric, value in cell.metrics.items():
            row = {**shared, "metric": metric, "value": _number(value)}
            if not cell.comparisons:
                writer.writerow(no_formulas(row))
            for other, found in cell.comparisons.items():
                each = found[metric]
                names = CSV_FIELDS[8:15]
                numbers = {name: _number(getattr(each, name)) for name in names}
                counts = {name: getattr(each, name) for name in ("wins", "ties", "losses")}
                texts = no_formulas({**row, "against": other})
                writer.writerow({**texts, **numbers, **counts})
    return out.getvalue()


def no_formulas(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record whose texts no spreadsheet computes: ``'`` before what would begin a formula.

    Names of stages and messages of errors may be anybody's.
    """
    return {
        name: f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
        for name, value in record.items()
    }


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))
