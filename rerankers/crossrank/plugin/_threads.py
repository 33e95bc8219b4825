"""How many threads numpy's libraries and torch may start, in a forked child too.

The threads of OpenMP, which torch and faiss compute with, do not survive a fork: a child that asks
for several waits for ever.  A child of a process that had imported one of them works with one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock

from threadpoolctl import threadpool_limits

from crossrank.errors import MissingPackageError
from crossrank.plugin.optional import loaded, required

OPENMP = {"torch": "set_num_threads", "faiss": "omp_set_num_threads"}
"""Packages that compute with OpenMP, and what sets their number of threads."""

logger = logging.getLogger(__name__)


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
_forked_with: list[str] = []
"""Packages of `OPENMP` that a parent had imported before it forked this process."""


def _in_child() -> None:
    # another thread of the parent may have held it, and is not here to give it back
    NUMPY_THREADS.lock = Lock()
    for package, setter in OPENMP.items():
        if (module := loaded(package)) is not None:
            getattr(module, setter)(1)
            if package not in _forked_with:
                _forked_with.append(package)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


@dataclass(slots=True)
class TorchThreads:
    """Holds torch to a number of threads, once a scorer has imported it."""

    wanted: int
    before: int | None = None

    def limit(self) -> None:
        """Set the number, if torch is there and has another one."""
        torch = loaded("torch")
        wanted = self.wanted
        if "torch" in _forked_with and wanted > 1:
            logger.info("this process was forked: torch computes with one thread, not %d", wanted)
            wanted = 1
        if torch is None or torch.get_num_threads() == wanted:
            return
        if self.before is None:
            self.before = torch.get_num_threads()
        torch.set_num_threads(wanted)

    def restore(self) -> None:
        """Set the number that was there before."""
        torch = loaded("torch")
        if torch is not None and self.before is not None:
            torch.set_num_threads(self.before)


@contextmanager
def held_to(number: int | None) -> Iterator[None]:
    """Hold numpy's libraries and torch to a number of threads; None leaves them as they are.

    torch is imported, where it is installed: once it runs with other threads it is too late.
    """
    if number is None:
        yield
        return
    with suppress(MissingPackageError):
        required("torch", "torch", "a number of threads")
    torch = TorchThreads(number)
    with NUMPY_THREADS.held_to(number):
        torch.limit()
        try:
            yield
        finally:
            torch.restore()
