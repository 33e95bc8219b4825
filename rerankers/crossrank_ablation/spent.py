"""What scores took: calls, pairs and seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """What some scores took: calls of ``score`` in this process, and pairs.

    They were scored now, read from disk, or known (shared) from an earlier run of the study.
    """

    calls: int = 0
    scored: int = 0
    from_cache: int = 0
    shared: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.calls + other.calls,
            self.scored + other.scored,
            self.from_cache + other.from_cache,
            self.shared + other.shared,
        )


@dataclass(slots=True)
class Rate:
    """How fast a scorer was when its scores were made, now or in another process."""

    pairs: int = 0
    seconds: float = 0.0
    prepare_seconds: float = 0.0

    @property
    def seconds_per_pair(self) -> float:
        """0 where nothing was scored."""
        return self.seconds / self.pairs if self.pairs else 0.0
