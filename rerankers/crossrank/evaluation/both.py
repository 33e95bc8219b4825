"""Both directions together, with RSUM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossrank.errors import InputError
from crossrank.evaluation.result import Evaluation
from crossrank.evaluation.table import Cells, markdown_table, text_table

RSUM = ("R@1", "R@5", "R@10")


@dataclass(frozen=True, slots=True)
class BothDirections:
    """Text to image and image to text together, with RSUM.

    Parameters
    ----------
    t2i, i2t
        The same systems in both directions, with R@1, R@5 and R@10 among the metrics.

    Raises
    ------
    InputError
        If the systems differ or one of these metrics is missing.
    """

    t2i: Evaluation
    i2t: Evaluation

    def __post_init__(self) -> None:
        for name, each in (("t2i", self.t2i), ("i2t", self.i2t)):
            if each.direction not in (None, name):
                raise InputError(f"BothDirections: {name} was given an {each.direction} evaluation")
            missing = [metric for metric in RSUM if metric not in each.metrics]
            if missing:
                raise InputError(f"BothDirections: RSUM needs {', '.join(missing)} of {name}")
        if set(self.t2i.names) != set(self.i2t.names):
            raise InputError(
                f"BothDirections: t2i has {', '.join(self.t2i.names)} and i2t has "
                f"{', '.join(self.i2t.names)}; evaluate the same systems in both directions"
            )

    @property
    def rsum(self) -> dict[str, float]:
        """System → R@1 + R@5 + R@10 of both directions, out of 600."""
        return {
            name: sum(each[name][metric] for each in (self.t2i, self.i2t) for metric in RSUM)
            for name in self.t2i.names
        }

    def __str__(self) -> str:
        """Return both tables and the sums."""
        return "\n".join([str(self.t2i), "", str(self.i2t), "", *text_table(self._cells())])

    def to_markdown(self) -> str:
        """Return the same as Markdown tables."""
        sums = "\n".join(markdown_table(self._cells()))
        return f"{self.t2i.to_markdown()}\n{self.i2t.to_markdown()}\n{sums}\n"

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
