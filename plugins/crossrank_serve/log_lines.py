"""The log of a server: what a request may cause over and over is said once a minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

REQUESTS = "crossrank_serve.requests"
"""The logger with a line for each request."""

SECONDS = 60.0

MOST = 1000
"""Kinds that are remembered."""


class Seldom(logging.Filter):
    """Lets each kind of message through once in a while, and every request's line.

    Who sends lists of two documents all day would else fill the disk with one and the same warning.

    Parameters
    ----------
    seconds
        Between two messages of a kind.
    now
        Tells the time.
    """

    def __init__(self, seconds: float = SECONDS, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds, self._now = seconds, now
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is let through."""
        if record.name == REQUESTS or record.levelno >= logging.ERROR:
            return True
        kind = record.name, str(record.msg)
        now = self._now()
        last = self._last.pop(kind, None)
        if last is not None and now - last < self._seconds:
            self._last[kind] = last
            return False
        self._last[kind] = now
        if len(self._last) > MOST:
            del self._last[next(iter(self._last))]
        return True


def say_seldom() -> None:
    """Let the handlers of this process repeat nothing within a minute."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(Seldom())
