"""What a run found: ours beside the published figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

Measures = Mapping[str, Mapping[str, float]]
"""Direction → measure → value."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Parameters
    ----------
    row, system
        What was measured.
    direction, measure
        How.
    ours, published
        The two figures.
    """

    row: str
    system: str
    direction: str
    measure: str
    ours: float
    published: float

    @property
    def difference(self) -> float:
        """Ours minus the published one."""
        return self.ours - self.published


@dataclass(frozen=True, slots=True)
class Outcome:
    """Figures of a table.

    Parameters
    ----------
    table
        Its name.
    figures
        In the order of the table.
    left_out
        Row → why it was not run.
    notes
        Row → what a reader has to know: another split, files without a published digest.
    """

    table: str
    figures: tuple[Figure, ...]
    left_out: Mapping[str, str]
    notes: Mapping[str, tuple[str, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        figures = [{**asdict(each), "difference": each.difference} for each in self.figures]
        return {
            "table": self.table,
            "figures": figures,
            "left_out": dict(self.left_out),
            "notes": {row: list(notes) for row, notes in self.notes.items()},
        }


def figures_of(row: str, system: str, ours: Measures, published: Measures) -> list[Figure]:
    """Return the figures that were published, with ours beside them."""
    return [
        Figure(row, system, direction, measure, float(ours[direction][measure]), float(value))
        for direction, measures in published.items()
        for measure, value in measures.items()
    ]
