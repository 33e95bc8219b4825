"""The stories that the report tells of one pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from crossrank.report import Story


@dataclass(frozen=True, slots=True)
class Gallery:
    """The stories of one pipeline in one direction.

    Parameters
    ----------
    direction, cell
        What it is about.
    depth
        The length of the lists.
    improved, harmed
        Most improved first, most harmed first.
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
