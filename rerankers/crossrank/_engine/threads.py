"""How many threads numpy's libraries and torch may start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from threadpoolctl import threadpool_limits

from crossrank.plugin.optional import loaded


@dataclass(slots=True)
class NumpyThreads:
    """Holds numpy's libraries to a number of threads, for the whole process.

    Runs may overlap, in a server: the last one to end sets what was there before the first began.
    """

    lock: Lock = field(default_factory=Lock)
    running: int = 0
    first: threadpool_limits | None = None

    @contextmanager
    def held_to(self, number: int) -> Iterator[None]:
        """Set the number for as long as the block takes."""
        with self.lock:
            limits = threadpool_limits(number)
            if self.running == 0:
                self.first = limits
            self.running += 1
        try:
            yield
        finally:
            with self.lock:
                self.running -= 1
                if self.running == 0 and self.first is not None:
                    self.first.restore_original_limits()


NUMPY_THREADS = NumpyThreads()


@dataclass(slots=True)
class TorchThreads:
    """Holds torch to a number of threads, once a scorer has imported it."""

    wanted: int
    before: int | None = None

    def limit(self) -> None:
        """Set the number, if torch is there and has another one."""
        torch = loaded("torch")
        if torch is None or torch.get_num_threads() == self.wanted:
            return
        if self.before is None:
            self.before = torch.get_num_threads()
        torch.set_num_threads(self.wanted)

    def restore(self) -> None:
        """Set the number that was there before."""
        torch = loaded("torch")
        if torch is not None and self.before is not None:
            torch.set_num_threads(self.before)
