"""How long the first stages of a pipeline take, to tell which of them fit a deadline."""

from __future__ import annotations

import threading

SHARE = 0.8
"""Of the time that is left; the rest is for encoding and the answer."""

MEMORY = 0.7
"""The weight of what was known against what was just measured."""


class Pace:
    """Seconds per pair of the first 1, 2, … stages, measured while they run; thread-safe."""

    def __init__(self, stages: int) -> None:
        self._rates: list[float | None] = [None] * stages
        self._lock = threading.Lock()

    def measured(self, stages: int, pairs: int, seconds: float) -> None:
        """Learn how long the first stages took for so many pairs."""
        if not pairs:
            return
        with self._lock:
            known, now = self._rates[stages - 1], seconds / pairs
            mixed = now if known is None else MEMORY * known + (1 - MEMORY) * now
            self._rates[stages - 1] = mixed

    def fitting(self, pairs: int, seconds: float) -> int:
        """Return how many stages fit a time: at least the first, all where nothing is known."""
        for stages in range(len(self._rates), 1, -1):
            rate = self._rates[stages - 1]
            if rate is None or rate * pairs <= SHARE * seconds:
                return stages
        return 1
