"""What a pipeline costs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cost:
    """What a pipeline takes, from the speed at which its stages scored when they did.

    Parameters
    ----------
    pairs
        Distinct pairs that any of its stages looks at.
    seconds
        For all of them, scoring and fusing; without preparing.
    prepare_seconds
        What its rerankers prepared, once per run.
    queries
        How many lists there are.
    """

    pairs: int = 0
    seconds: float = 0.0
    prepare_seconds: float = 0.0
    queries: int = 0

    @property
    def pairs_per_second(self) -> float | None:
        """None where nothing took time."""
        return self.pairs / self.seconds if self.seconds > 0 else None

    @property
    def milliseconds_per_query(self) -> float | None:
        """None where there is no query."""
        return 1000 * self.seconds / self.queries if self.queries else None

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them."""
        return {
            **asdict(self),
            "pairs_per_second": self.pairs_per_second,
            "milliseconds_per_query": self.milliseconds_per_query,
        }
