"""The log of a server: what a request may cause over and over is said once a minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


@contextmanager
def requests_told() -> Iterator[None]:
    """Write a line for each request, and repeat nothing else within a minute.

    Logging is left as it was found: who runs a server within a program keeps its own log.
    """
    requests, filters = logging.getLogger(REQUESTS), Seldom()
    level, handlers = requests.level, logging.getLogger().handlers[:]
    requests.setLevel(logging.INFO)
    for handler in handlers:
        handler.addFilter(filters)
    try:
        yield
    finally:
        requests.setLevel(level)
        for handler in handlers:
            handler.removeFilter(filters)
