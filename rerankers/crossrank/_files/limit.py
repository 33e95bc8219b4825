"""Cache folders that are held to a limit: what was not used for longest goes first.

Links are never followed: one that lies among the files counts as the few bytes it is and goes
itself, what it leads to is neither counted nor removed.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

STALE_SECONDS = 3600.0
"""After so long nobody is still writing what is unfinished."""


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file of a cache: where it lies, its size, and when it was last written or touched."""

    path: Path
    bytes: int
    used: float


def cached_files(folder: Path, names: re.Pattern[str]) -> list[CachedFile]:
    """Return the files of a folder whose whole name matches, those in folders within it too.

    Other processes may add and remove files meanwhile; a folder that is not there has none.
    """
    files = []
    for parent, _, found in os.walk(folder):  # looks into no folder behind a link
        for name in filter(names.fullmatch, found):
            path = Path(parent, name)
            with suppress(FileNotFoundError):
                stat = path.lstat()
                files.append(CachedFile(path, stat.st_size, stat.st_mtime))
    return files


def evict(
    files: Iterable[CachedFile],
    limit: float,
    *,
    keep: Callable[[Path], bool] = lambda path: False,
) -> int:
    """Remove the files not used for longest until all together keep to a limit.

    Two processes that do so at once remove a little more than they must.

    Parameters
    ----------
    files, limit
        All that count, and the most bytes they may take.
    keep
        Whether a file must stay whatever it takes.

    Returns
    -------
    int
        How many bytes are taken now: more than the limit only by what is kept.

    Raises
    ------
    OSError
        If more is taken by files that cannot be removed.
    """
    ordered = sorted(files, key=lambda file: (file.used, file.path))
    taken = sum(file.bytes for file in ordered)
    failure = None
    for file in ordered:
        if taken <= limit:
            return taken
        if not keep(file.path):
            try:
                file.path.unlink(missing_ok=True)
                taken -= file.bytes
            except OSError as error:
                failure = error
    if failure is not None and taken > limit:
        raise failure
    return taken


def remove_stale(files: Iterable[CachedFile]) -> None:
    """Remove unfinished files that killed processes left."""
    for file in files:
        if time.time() - file.used > STALE_SECONDS:
            with suppress(OSError):
                file.path.unlink()
