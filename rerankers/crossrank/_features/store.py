"""Features on disk: one file per item, bounded, shared by processes, and never in the way.

What cannot be read counts as not there, and what cannot be written is not kept: a cache that is
damaged, read-only, full, another user's or gone costs time, not a ranking.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from crossrank._features.entry import DIGEST, Entry, head_of
from crossrank._files.limit import CachedFile, cached_files, evict, remove_stale

SUFFIX = ".features"
OURS = re.compile(r"[0-9a-f]{32}\.features")
PARTIAL = re.compile(r"\.partial-[0-9a-f]{12}")
PAUSE_SECONDS = 60
"""So long nothing is written after something could not be."""
ROOM_AFTER = 0.9
"""This part of the limit is left when entries are removed, so that this is not done each time."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A file of features, as ``crossrank cache`` shows it."""

    path: Path
    bytes: int
    used: float
    description: Mapping[str, str]


class FeatureStore:
    """A folder of entries.

    Parameters
    ----------
    folder
        Made when the first entry is written.
    limit
        Bytes; the entries not used for longest are removed beyond it.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._lock = threading.Lock()
        self._total: int | None = None
        self._paused_until = 0.0
        self._warned = False

    def get(self, key: str) -> Entry | None:
        """Return an entry, None if it is not there or not intact."""
        path = self.folder / f"{key}{SUFFIX}"
        with suppress(OSError):
            if not self._is_safe():
                return None
            content = path.read_bytes()
            entry = Entry.from_bytes(content, key)
            if entry is None:
                log.warning("%s is damaged; it is made anew", path)
                path.unlink(missing_ok=True)
            with suppress(OSError):
                os.utime(path)
            return entry
        return None

    def put(self, key: str, about: Mapping[str, str], entry: Entry) -> None:
        """Keep an entry, if that is possible, and make room for it."""
        if time.monotonic() < self._paused_until:
            return
        content = entry.to_bytes(key, about)
        if len(content) > self.limit:
            return
        try:
            if not self.folder.is_dir():
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._is_safe():
                raise PermissionError("others may write to it")
            self._write(self.folder / f"{key}{SUFFIX}", content)
            with self._lock:
                if self._total is not None:
                    self._total += len(content)
                full = self._total is None or self._total > self.limit
            if full:
                self.prune()
        except OSError as error:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            level = logging.INFO if self._warned else logging.WARNING
            self._warned = True
            log.log(level, "%s: features are not kept on disk: %s", self.folder, error)

    def entries(self) -> list[StoredEntry]:
        """Return all entries, the one used last first."""
        found = []
        for file in self._files():
            about: Mapping[str, str] = {}
            with suppress(OSError, ValueError, KeyError, TypeError):
                about = json.loads(head_of(_head(file.path))["about"])
            found.append(StoredEntry(file.path, file.bytes, file.used, about))
        return sorted(found, key=lambda each: (-each.used, each.path.name))

    def broken(self) -> list[Path]:
        """Return the entries whose content is not what they say."""
        return [
            file.path
            for file in self._files()
            if Entry.from_bytes(file.path.read_bytes(), file.path.stem) is None
        ]

    def remove(self, paths: list[Path]) -> int:
        """Remove entries and return how many there were."""
        for path in paths:
            path.unlink(missing_ok=True)
        self._total = None
        return len(paths)

    def prune(self) -> None:
        """Remove what killed processes left, and what is beyond the limit."""
        with self._lock:
            remove_stale(cached_files(self.folder, PARTIAL))
            files = self._files()
            self._total = sum(file.bytes for file in files)
            if self._total > self.limit:
                self._total = evict(files, ROOM_AFTER * self.limit)

    def _files(self) -> list[CachedFile]:
        return cached_files(self.folder, OURS)

    def _is_safe(self) -> bool:
        """Tell whether strangers cannot put anything into the folder."""
        if not hasattr(os, "geteuid"):
            return True
        stat = self.folder.stat()
        return stat.st_uid == os.geteuid() or not stat.st_mode & 0o002

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        """Write a file that appears when it is complete, in place of a link too.

        It is not forced to the disk: what a power cut damages is found by its digest.
        """
        with _partial(path.parent) as partial:
            with partial.open("xb") as file:
                file.write(content)
            partial.replace(path)


@contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    partial = folder / f".partial-{token_hex(6)}"
    try:
        yield partial
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        start = file.read(DIGEST + 8)
        return start + file.read(min(int.from_bytes(start[DIGEST:], "little"), 1 << 24))
