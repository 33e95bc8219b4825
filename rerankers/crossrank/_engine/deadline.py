"""Deadlines: when no further stage is begun."""

from __future__ import annotations

import time
from dataclasses import dataclass

from crossrank._checking import checked, finite, one_of
from crossrank.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Deadline:
    """When no further stage is begun.

    Parameters
    ----------
    seconds
        Above 0.
    per
        ``"run"`` or ``"query"``.
    """

    seconds: float
    per: str

    @classmethod
    def of(cls, seconds: float | None, per: str) -> Deadline | None:
        """Read a deadline as callers write it.

        Raises
        ------
        ParameterError
            On seconds that are no positive number, or what it cannot be per.
        """
        checked("rerank", "deadline_per", per, one_of("run", "query"))
        if seconds is None:
            return None
        if checked("rerank", "deadline", seconds, finite) <= 0:
            raise ParameterError(
                f"rerank: deadline is {seconds!r}; give seconds above 0, or None for no deadline"
            )
        return cls(float(seconds), per)

    def passed(self, start: float, lists: int) -> str | None:
        """Return why a stage is skipped now, None if it is not."""
        limit = self.seconds * (max(1, lists) if self.per == "query" else 1)
        spent = time.perf_counter() - start
        if spent < limit:
            return None
        each = " per query" if self.per == "query" else ""
        return f"skipped: the deadline of {self.seconds:g} s{each} had passed"
