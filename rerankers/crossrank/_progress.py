"""Progress: a callable, a bar on standard error, or silence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``; what it raises stops the run."""


def as_progress(wish: Progress | bool | None) -> Progress:
    """Return the callable for what the caller asked for: True is a bar, None or False silence."""
    if wish is None or wish is False:
        return silent
    if wish is True:
        return Bars()
    return wish


class Bars:
    """One tqdm bar after another, one for each kind of work: in a notebook a widget, else text."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps of some work are behind us."""
        from tqdm.auto import tqdm

        if self._bar is None or what != self._what or done < self._bar.n:
            self._close()
            self._bar = tqdm(total=total, desc=what, file=sys.stderr, leave=False)
            self._what = what
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def silent(what: str, done: int, total: int) -> None:
    """Say nothing."""
