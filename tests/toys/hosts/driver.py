"""What the common tests need to know of a host: how its results are made, reranked and read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Thing:
    """Something to be found: a picture, a text, both, or nothing that could be ranked."""

    id: str
    path: Path | None = None
    text: str | None = None
    score: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What a host's result says of one thing."""

    id: str
    score: float
    base_score: float | None = None
    base_rank: int | None = None
    trace: Any = None
    metadata: Mapping[str, Any] | None = None


def installed(package: str) -> bool:
    """Tell whether a package, or a module in one, can be imported; "" can."""
    try:
        return not package or find_spec(package) is not None
    except ModuleNotFoundError:
        return False


class Driver(ABC):
    """One host.

    Attributes
    ----------
    module, package
        Of ours, and the import name of the host; "" where none is needed.
    texts, pictures
        Which of the two its results can be.
    base
        Whether its results say base score, base rank and trace.
    both
        Whether one thing can be a picture and a text.
    metadata, anything, own
        Whether they carry metadata, whether these may be of any type, and the names that the host
        itself writes among them.
    scored, partial
        Whether there are base scores, and scores may be missing.
    duplicates
        Whether a result may hold the same thing twice.
    limited
        Whether the adapter says how many are returned.
    """

    module = ""
    package = ""
    texts = True
    pictures = True
    base = True
    both = True
    metadata = True
    anything = True
    own: tuple[str, ...] = ()
    scored = True
    partial = True
    duplicates = True
    limited = True

    @abstractmethod
    def native(self, things: Sequence[Thing]) -> Any:
        """Return things as the host hands them over."""

    @abstractmethod
    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        """Rerank by our adapter, and return what the host gets."""

    async def arerank(
        self, query: Any, native: Any, top_k: int | None = None, **settings: Any
    ) -> Any:
        """Do the same asynchronously, where the host knows that."""
        raise NotImplementedError

    @abstractmethod
    def told(self, result: Any) -> list[Told]:
        """Read a result."""

    def again(self, **settings: Any) -> Any:
        """Return ``(settings, the same after the host's own save and load)``, where it has one."""
        raise NotImplementedError

    def settings(self, made: Any) -> Any:
        """Return what an adapter was made with."""
        return made.model_dump()

    def asking(self, picture: Path) -> Any:
        """Return a picture as a query."""
        return picture

    def same(self, one: Any, other: Any) -> bool:
        """Tell whether two native results are equal."""
        return bool(one == other)
