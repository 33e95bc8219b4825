"""Progress of work that is done in more than one place."""

from __future__ import annotations

from collections.abc import Callable


class Counter:
    """Counts steps, and reports each.

    Parameters
    ----------
    progress
        Called as ``progress(what, done, total)``; nobody by default.
    what, total
        What is counted, and how many steps there are.
    """

    def __init__(
        self,
        progress: Callable[[str, int, int], None] = lambda what, done, total: None,
        what: str = "",
        total: int = 0,
    ) -> None:
        self._progress, self._what, self._total = progress, what, total
        self.done = 0

    def add(self, steps: int) -> None:
        """Report some more steps; never more than there are."""
        self.reach(self.done + steps)

    def reach(self, done: int) -> None:
        """Report that so many are done."""
        self.done = min(done, self._total)
        self._progress(self._what, self.done, self._total)
