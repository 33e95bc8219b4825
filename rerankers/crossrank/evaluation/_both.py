"""Both directions together, with RSUM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossrank._items.showing import table
from crossrank.errors import InputError
from crossrank.evaluation._result import Evaluation
from crossrank.evaluation._table import Cells, markdown_table, text_table

RSUM = ("R@1", "R@5", "R@10")


@dataclass(frozen=True, slots=True)
class BothDirections:
    """Text to image and image to text together, with RSUM.

    Parameters
    ----------
    t2i, i2t
        The same systems in both directions.

    Raises
    ------
    InputError
        If the systems differ, or a direction stands in the wrong place.
    """

    t2i: Evaluation
    i2t: Evaluation

    def __post_init__(self) -> None:
        for name, each in (("t2i", self.t2i), ("i2t", self.i2t)):
            if each.direction not in (None, name):
                raise InputError(f"BothDirections: {name} was given an {each.direction} evaluation")
        if set(self.t2i.names) != set(self.i2t.names):
            raise InputError(
                f"BothDirections: t2i has {', '.join(self.t2i.names)} and i2t has "
                f"{', '.join(self.i2t.names)}; evaluate the same systems in both directions"
            )

    @property
    def rsum(self) -> dict[str, float]:
        """System → R@1 + R@5 + R@10 of both directions, out of 600; empty without these."""
        if not set(RSUM) <= set(self.t2i.metrics) & set(self.i2t.metrics):
            return {}
        return {
            name: sum(each[name][metric] for each in (self.t2i, self.i2t) for metric in RSUM)
            for name in self.t2i.names
        }

    def __str__(self) -> str:
        """Return both tables and the sums."""
        sums = ["", *text_table(self._cells())] if self.rsum else []
        return "\n".join([str(self.t2i), "", str(self.i2t), *sums])

    def _repr_html_(self) -> str:
        head, *rows = self._cells() if self.rsum else [[]]
        sums = table("both directions", head, rows) if rows else ""
        return self.t2i._repr_html_() + self.i2t._repr_html_() + sums

    def to_markdown(self) -> str:
        """Return the same as Markdown tables."""
        sums = ["\n".join(markdown_table(self._cells())) + "\n"] if self.rsum else []
        return "\n".join([self.t2i.to_markdown(), self.i2t.to_markdown(), *sums])

    def to_dict(self, per_query: bool = False) -> dict[str, Any]:
        """Return ``{"t2i": …, "i2t": …, "rsum": …}`` as JSON can hold it."""
        return {
            "t2i": self.t2i.to_dict(per_query),
            "i2t": self.i2t.to_dict(per_query),
            "rsum": self.rsum,
        }

    def _cells(self) -> Cells:
        sums = self.rsum
        before = sums[self.t2i.baseline]
        cells: Cells = [["", "RSUM", "gain"]]
        for name, value in sums.items():
            gain = "" if name == self.t2i.baseline else f"{value - before:+.2f}"
            cells.append([name, f"{value:.2f}", gain])
        return cells
