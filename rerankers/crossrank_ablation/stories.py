"""The stories that the report tells of one pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from crossrank.report import Story


@dataclass(frozen=True, slots=True)
class Gallery:
    """The stories of one pipeline in one direction, most improved first and most harmed first.

    `depth` is the length of the lists.
    """

    direction: str
    cell: str
    depth: int
    improved: tuple[Story, ...]
    harmed: tuple[Story, ...]

    @property
    def stories(self) -> tuple[Story, ...]:
        """All of them."""
        return (*self.improved, *self.harmed)
