"""Progress: a callable, a bar on standard error, or silence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from crossrank.errors import InputError

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``; what it raises stops the run."""

RAISED = "_crossrank_progress_raised"
"""Marks an exception that no plugin is to blame for, although it passed through one."""


def as_progress(wish: Progress | bool | None) -> Progress:
    """Return the callable for what the caller asked for: True is a bar, None or False silence."""
    if wish is None or wish is False:
        return silent
    if wish is True:
        return Bars()
    if not callable(wish):
        raise InputError(
            f"progress is {wish!r:.60}; give True, a callable (what, done, total), or None"
        )
    return wish if isinstance(wish, Caller | Bars) or wish is silent else Caller(wish)


class Caller:
    """A caller's own progress; what it raises comes out again as it is, through any plugin."""

    def __init__(self, tell: Progress) -> None:
        self.tell = tell

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tell the caller."""
        try:
            self.tell(what, done, total)
        except Exception as error:
            setattr(error, RAISED, True)
            raise


def is_of_progress(error: BaseException) -> bool:
    """Tell whether an exception was raised by a caller's progress."""
    return getattr(error, RAISED, False) is True


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
