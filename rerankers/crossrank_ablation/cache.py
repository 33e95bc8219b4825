"""Raw scores on disk: blocks recognised by content, bounded, shared by processes.

A block is one file named by the digest of its description (plugin, version, source, parameters,
features, pairs).  It holds the description itself and a digest of the scores, and is used only if
both are as they should be; anything else counts as not there.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossrank._engine.options import parse_bytes
from crossrank._files.user_cache import user_cache
from crossrank.errors import StoreError
from crossrank.plugin.files import (
    CachedFile,
    atomic_bytes,
    cached_files,
    evict,
    read_json,
    remove_stale,
)
from crossrank_ablation.stored_block import ScoredBlock, decoded, encoded, head_of, metadata_of

try:
    import fcntl
except ImportError:  # without it two processes may compute the same block; both write the same
    fcntl = None  # type: ignore[assignment]

MARKER = "cache.json"
CONTENT = {"format": "crossrank scores", "version": 1}
OURS = re.compile(r"\.partial-\w+|locks|\.?([0-9a-f]{32}\.scores|cache\.json)(\.[0-9a-f]{12})?")
BLOCK = re.compile(r"[^.].*\.scores")
UNFINISHED = re.compile(r"\..*")
OVERHEAD = 4096
DEFAULT_LIMIT = "2GB"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A block on disk, as ``crossrank cache`` shows it."""

    key: str
    path: Path
    bytes: int
    used: float
    description: Mapping[str, Any]


def default_folder() -> Path:
    """Return ``$CROSSRANK_CACHE`` or the user's cache folder, with ``scores`` in it."""
    return user_cache("scores")


class ScoreCache:
    """A folder of blocks.

    Parameters
    ----------
    folder
        Made if it is not there; `default_folder` by default.
    limit
        Bytes, or a str such as ``"2GB"``; the blocks not used for longest are removed beyond it.

    Raises
    ------
    StoreError
        If the folder holds something foreign, or cannot be written.
    """

    def __init__(self, folder: str | Path | None = None, limit: int | str = DEFAULT_LIMIT) -> None:
        self.folder = default_folder() if folder is None else Path(folder)
        self.limit = parse_bytes(limit)
        with self._disk():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._check_ours()
            (self.folder / "locks").mkdir(exist_ok=True)

    def check_room(self, needed: int, largest: int) -> None:
        """Refuse to start what cannot be kept.

        Parameters
        ----------
        needed
            Bytes that a study is going to write at most.
        largest
            Bytes of its largest block.

        Raises
        ------
        StoreError
            If the limit is below one block, or the disk below all of them.
        """
        if largest + OVERHEAD > self.limit:
            raise StoreError(
                f"the cache {self.folder} may hold {self.limit:,} bytes, but one block of scores "
                f"takes {largest + OVERHEAD:,}; raise its limit or go without (--no-cache)"
            )
        free = shutil.disk_usage(self.folder).free
        wanted = min(needed, self.limit)
        if free < wanted:
            raise StoreError(
                f"the cache {self.folder} lies on a disk with {free:,} bytes free, and this study "
                f"writes up to {wanted:,}; free some space, or give another folder"
            )

    @contextmanager
    def claim(self, key: str) -> Iterator[None]:
        """Hold the right to make a block; other processes that want it wait."""
        with self._lock(key[:2]):
            yield

    def get(self, key: str, description: Mapping[str, Any]) -> ScoredBlock | None:
        """Return a block whose description is the same and whose scores are intact, else None."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error}; check its permissions") from error
        block = decoded(content, description)
        if block is None:
            log.warning("%s is not what its name says; it is scored anew", path)
            return None
        with self._disk():
            os.utime(path)
        return block

    def put(self, key: str, description: Mapping[str, Any], block: ScoredBlock) -> None:
        """Keep a block, and make room for it."""
        content = encoded(description, block)
        with self._disk():
            atomic_bytes(self._path(key), content)
        self.prune(keep=key)

    def entries(self) -> list[Entry]:
        """Return all blocks that can be read, the one used last first."""
        kept = []
        for file in self._blocks():
            try:
                head = metadata_of(head_of(file.path))
            except FileNotFoundError:
                continue
            description = json.loads(head["description"]) if head else {}
            kept.append(Entry(file.path.stem, file.path, file.bytes, file.used, description))
        return sorted(kept, key=lambda entry: (-entry.used, entry.key))

    def broken(self) -> list[Path]:
        """Return the blocks whose content is not what they say."""
        return [
            path
            for path in sorted(file.path for file in self._blocks())
            if decoded(path.read_bytes(), None, key=path.stem) is None
        ]

    def remove(self, paths: list[Path]) -> int:
        """Remove blocks and return how many there were."""
        with self._disk(), self._lock("prune"):
            for path in paths:
                path.unlink(missing_ok=True)
        return len(paths)

    def prune(self, keep: str = "") -> None:
        """Remove the blocks not used for longest until the limit is kept."""
        with self._disk(), self._lock("prune"):
            evict(self._blocks(), self.limit, keep=lambda path: path.stem == keep)

    def _blocks(self) -> list[CachedFile]:
        return cached_files(self.folder, BLOCK)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.scores"

    def _check_ours(self) -> None:
        marker = self.folder / MARKER
        names = [path.name for path in self.folder.iterdir()]
        foreign = sorted(name for name in names if not OURS.fullmatch(name))
        if MARKER in names and not _is_marker(marker):
            foreign = [MARKER]
        if foreign or (MARKER not in names and any(name.endswith(".scores") for name in names)):
            raise StoreError(
                f"{self.folder} is no cache of scores: it holds {(foreign or names)[0]!r}; give a "
                "new or empty folder"
            )
        if MARKER not in names:
            atomic_bytes(marker, json.dumps(CONTENT).encode())
        remove_stale(cached_files(self.folder, UNFINISHED))

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        if fcntl is None:
            yield
            return
        # a link in its place is refused; every user of the folder may wait for it
        handle = os.open(
            self.folder / "locks" / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666
        )
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # given back when the process ends, however it does
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            mend = "free some space" if full else "check the folder and its permissions"
            raise StoreError(
                f"the cache {self.folder} cannot be written: {error}; {mend}, or give another "
                "folder"
            ) from error


def _is_marker(path: Path) -> bool:
    try:
        return bool(read_json(path) == CONTENT)
    except (OSError, ValueError):
        return False
