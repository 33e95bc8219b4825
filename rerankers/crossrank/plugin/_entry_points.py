"""Entry points by group: read without importing anything, loaded inside a guard."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from pathlib import Path
from types import FrameType
from typing import Any

from crossrank.errors import CrossrankError, PluginError

log = logging.getLogger(__name__)


def points(group: str) -> list[EntryPoint]:
    """Return the entry points of a group, of all distributions that can be read."""
    return list(_points(group, tuple(map(_changed, sys.path))))


def _changed(folder: str) -> tuple[str, int]:
    """Return a folder of distributions, and when one was last added or taken away."""
    try:
        return folder, _path(folder).stat().st_mtime_ns
    except OSError:
        return folder, 0


_path = lru_cache(maxsize=256)(Path)


@lru_cache(maxsize=16)
def _points(group: str, folders: tuple[tuple[str, int], ...]) -> list[EntryPoint]:
    """Look for them; to do so for each plugin anew would take longer than to import them all."""
    declared = [point for point in _of_all_groups(folders) if point.group == group]
    # one distribution seen twice (a stale build beside an editable install) is no rivalry
    return list({(point.name, origin(point), point.value): point for point in declared}.values())


@lru_cache(maxsize=1)
def _of_all_groups(folders: tuple[tuple[str, int], ...]) -> list[EntryPoint]:
    """Read the entry points of all distributions, of any group."""
    try:
        found = entry_points()
        return [point for group in found.groups for point in found.select(group=group)]
    except Exception:  # a single file that cannot be read must not hide all the others
        each = {dist.name: dist for dist in reversed(list(distributions()))}
        return [point for dist in each.values() for point in _readable(dist)]


def only(what: str, name: str, points: list[EntryPoint]) -> EntryPoint:
    """Return the one entry point of a name, and refuse one that several distributions claim."""
    if len(points) > 1:
        rivals = " and ".join(sorted(map(origin, points)))
        raise PluginError(f"the {what} {name!r} is claimed by {rivals}; uninstall one of them")
    return points[0]


def guarded(where: str, call: Callable[[], Any]) -> Any:
    """Run a plugin's own code; whatever it raises becomes a `PluginError` that names it.

    An interrupt that the user sent is none of the plugin's, and passes.
    """
    try:
        with interrupts() as sent:
            return call()
    except CrossrankError:
        raise
    except BaseException as error:
        if sent and isinstance(error, KeyboardInterrupt):
            raise
        said = " ".join(str(error).split())  # pluggy and compilers say it in several lines
        raise PluginError(f"{where} could not be loaded: {type(error).__name__}: {said}") from error


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """Give a list that is filled when this process is interrupted, as by Ctrl-C.

    Where others handle interrupts it is never empty: nobody can tell.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []  # others are never interrupted
        return
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        yield []
        return
    if before is not signal.default_int_handler:
        yield [signal.SIGINT]
        return
    sent: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        sent.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    try:
        yield sent
    finally:
        if signal.getsignal(signal.SIGINT) is handle:
            signal.signal(signal.SIGINT, before)


def origin(point: EntryPoint) -> str:
    """Return who brings an entry point, with its version."""
    return "(unknown distribution)" if point.dist is None else _called(point.dist)


@lru_cache(maxsize=256)
def _called(distribution: Distribution) -> str:
    said = distribution.metadata  # parsed at each look
    return f"{said['Name']} {said['Version']}" if said["Name"] else "(unknown distribution)"


def _readable(distribution: Distribution) -> list[EntryPoint]:
    try:
        return list(distribution.entry_points)
    except Exception as error:
        log.warning("the entry points of %s cannot be read: %s", distribution.name, error)
        return []
