"""How many threads numpy's libraries and torch may start, in a forked child too.

The threads of OpenMP, which torch and faiss compute with, do not survive a fork: a child that asks
for several waits for ever.  A child of a process that had imported one of them works with one.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock, local
from typing import Any

from threadpoolctl import ThreadpoolController

from crossrank.errors import MissingPackageError
from crossrank.plugin.optional import loaded, required

OPENMP = {"torch": "set_num_threads", "faiss": "omp_set_num_threads"}
"""Packages that compute with OpenMP, and what sets their number of threads."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Libraries:
    """The libraries of numpy and its like that this process has loaded, and their threads."""

    shared: list[Any] = field(default_factory=list)
    """Those with one pool of threads for the whole process."""
    own: list[Any] = field(default_factory=list)
    """Those that keep a number for each thread that calls them."""
    modules: int = 0

    def look(self) -> None:
        """Look again if anything was imported since: to look takes a millisecond."""
        if self.modules == (modules := len(sys.modules)):
            return
        pools = ThreadpoolController().lib_controllers
        self.own = [each for each in pools if _for_each_thread(each)]
        self.shared = [each for each in pools if not _for_each_thread(each)]
        self.modules = modules


def _for_each_thread(library: Any) -> bool:
    return "openmp" in (library.user_api, getattr(library, "threading_layer", None))


def _numbers(libraries: list[Any]) -> list[tuple[Any, int]]:
    return [(each, each.num_threads) for each in libraries]


def _set(libraries: list[tuple[Any, int]]) -> None:
    for library, number in libraries:
        # threadpoolctl ignores all threads but the first to ask, without a word; we ask in turn
        free = getattr(library, "clear_controlling_thread", None)
        if free is not None:
            free(force=True)
        library.set_num_threads(number)
        if free is not None:
            free(force=True)


@dataclass(slots=True)
class Runs:
    """The runs that one thread is in, which need not end in the order in which they began."""

    numbers: list[int] = field(default_factory=list)
    """What they hold it to, the last one last."""
    before: list[tuple[Any, int]] = field(default_factory=list)
    """Its libraries, and their numbers before the first."""


class Here(local):
    """The runs of the thread that asks."""

    def __init__(self) -> None:
        self.runs = Runs()


@dataclass(slots=True)
class ThreadLimits:
    """Owns the number of threads of numpy's libraries and torch, for the whole process.

    Runs may overlap, in a server.  A pool that they share has the number of the run that asked for
    the fewest; the last run to end sets what was there before the first began.
    """

    lock: Lock = field(default_factory=Lock)
    here: Here = field(default_factory=Here)
    libraries: Libraries = field(default_factory=Libraries)
    wanted: list[int] = field(default_factory=list)
    before: dict[str, tuple[Any, int]] = field(default_factory=dict)
    torch_before: int | None = None

    @contextmanager
    def held_to(self, number: int) -> Iterator[TorchThreads]:
        """Hold numpy's libraries, and torch if it was imported, for as long as the block takes.

        Yields what limits torch in other threads, and once it is imported.
        """
        torch, runs = TorchThreads(number), self.here.runs
        with self._wanting(number):
            # first torch: it reads the number of OpenMP when a thread first asks it for its own
            torch.limit()
            with self.lock:
                self.libraries.look()
                own = _numbers(self.libraries.own)
                if not runs.numbers:
                    runs.before = own
                runs.numbers.append(number)
                _set([(library, number) for library, _ in own])
                self._set_shared()
            try:
                yield torch
            finally:
                self._leave(runs, number)

    def _leave(self, runs: Runs, number: int) -> None:
        """Give this thread what the run that it is still in holds it to, or what was there."""
        runs.numbers.remove(number)
        if runs.numbers:
            _set([(library, runs.numbers[-1]) for library, _ in runs.before])
            TorchThreads(runs.numbers[-1]).limit()
            return
        _set(runs.before)
        torch = loaded("torch")
        if torch is not None and self.torch_before is not None:
            torch.set_num_threads(self.torch_before)

    @contextmanager
    def _wanting(self, number: int) -> Iterator[None]:
        with self.lock:
            self.wanted.append(number)
        try:
            yield
        finally:
            with self.lock:
                if number in self.wanted:  # not in a child, forked meanwhile
                    self.wanted.remove(number)
                self._set_shared()

    def _set_shared(self) -> None:
        if self.wanted:
            for library, number in _numbers(self.libraries.shared):
                self.before.setdefault(library.filepath, (library, number))
            _set([(library, min(self.wanted)) for library, _ in self.before.values()])
        else:
            _set(list(self.before.values()))
            self.before.clear()
            self.torch_before = None

    def forget(self) -> None:
        """Begin anew in a forked child, which has none of the threads whose runs these were."""
        self.lock = Lock()
        _set(list(self.before.values()))
        self.before.clear()
        self.wanted.clear()
        # a run of the parent that ends here as well must not set more threads again
        self.here.runs.before.clear()
        self.torch_before = None


LIMITS = ThreadLimits()
_forked_with: list[str] = []
"""Packages of `OPENMP` that a parent had imported before it forked this process."""


def _in_child() -> None:
    # another thread of the parent may have held it, and is not here to give it back
    LIMITS.forget()
    for package, setter in OPENMP.items():
        if (module := loaded(package)) is not None:
            getattr(module, setter)(1)
            if package not in _forked_with:
                _forked_with.append(package)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


@dataclass(slots=True)
class TorchThreads:
    """Holds torch to a number of threads, once a scorer has imported it.

    torch keeps a number for each thread and one for those to come.
    """

    wanted: int

    def limit(self) -> None:
        """Set the number in this thread, if torch is there and has another one."""
        torch = loaded("torch")
        wanted = self.wanted
        if "torch" in _forked_with and wanted > 1:
            logger.info("this process was forked: torch computes with one thread, not %d", wanted)
            wanted = 1
        if torch is None or torch.get_num_threads() == wanted:
            return
        with LIMITS.lock:
            if LIMITS.torch_before is None:
                LIMITS.torch_before = torch.get_num_threads()
            torch.set_num_threads(wanted)


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
    with LIMITS.held_to(number):
        yield
