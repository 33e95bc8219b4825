"""Raw scores on disk: blocks recognised by content, bounded, shared by processes.

A block is one file named by the digest of its description (plugin, version, source, parameters,
features, pairs).  It holds the description itself and a digest of the scores, and is used only if
both are as they should be; anything else counts as not there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._engine.options import parse_bytes
from crossrank._files.user_cache import user_cache
from crossrank.errors import StoreError
from crossrank.plugin.files import atomic_bytes, parse_json

try:
    import fcntl
except ImportError:  # without it two processes may compute the same block; both write the same
    fcntl = None  # type: ignore[assignment]

MARKER = "cache.json"
CONTENT = {"format": "crossrank scores", "version": 1}
OURS = re.compile(r"\.partial-\w+|locks|\.?([0-9a-f]{32}\.scores|cache\.json)(\.[0-9a-f]{12})?")
OVERHEAD = 4096
STALE_SECONDS = 3600
DEFAULT_LIMIT = "2GB"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredBlock:
    """Raw scores of the pairs of some queries, and what they took.

    Parameters
    ----------
    values
        ``[P]`` float32 in row-major order of the pairs; NaN where the scorer abstained.
    reasons
        Per query why.
    calls
        How often ``score`` was called.
    seconds, prepare_seconds
        What scoring and preparing took when it was done.
    """

    values: NDArray[np.float32]
    reasons: tuple[str, ...]
    calls: int
    seconds: float
    prepare_seconds: float


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
        block = _decoded(content, description)
        if block is None:
            log.warning("%s is not what its name says; it is scored anew", path)
            return None
        with self._disk():
            os.utime(path)
        return block

    def put(self, key: str, description: Mapping[str, Any], block: ScoredBlock) -> None:
        """Keep a block, and make room for it."""
        content = _encoded(description, block)
        with self._disk():
            atomic_bytes(self._path(key), content)
        self.prune(keep=key)

    def entries(self) -> list[Entry]:
        """Return all blocks that can be read, the one used last first."""
        kept = []
        for path in self.folder.glob("*.scores"):
            try:
                stat, head = path.stat(), _metadata(_head(path))
            except FileNotFoundError:
                continue
            description = json.loads(head["description"]) if head else {}
            kept.append(Entry(path.stem, path, stat.st_size, stat.st_mtime, description))
        return sorted(kept, key=lambda entry: (-entry.used, entry.key))

    def broken(self) -> list[Path]:
        """Return the blocks whose content is not what they say."""
        return [
            path
            for path in sorted(self.folder.glob("*.scores"))
            if _decoded(path.read_bytes(), None, key=path.stem) is None
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
            files = []
            for path in self.folder.glob("*.scores"):
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue
                files.append((stat.st_mtime, path, stat.st_size))
            total = sum(size for _, _, size in files)
            for _, path, size in sorted(files, key=lambda each: each[0]):
                if total <= self.limit:
                    return
                if path.stem != keep:
                    path.unlink(missing_ok=True)
                    total -= size

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
        for path in self.folder.glob(".*"):
            try:
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    path.unlink(missing_ok=True)
            except FileNotFoundError:
                continue

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


def description_key(description: Mapping[str, Any]) -> str:
    """Return the name of a block."""
    return hashlib.blake2b(_canonical(description).encode(), digest_size=16).hexdigest()


def _canonical(description: Mapping[str, Any]) -> str:
    return json.dumps(description, sort_keys=True, ensure_ascii=False)


def _encoded(description: Mapping[str, Any], block: ScoredBlock) -> bytes:
    from safetensors.numpy import save

    values = np.ascontiguousarray(block.values, np.float32)
    metadata = {
        "description": _canonical(description),
        "digest": _digest(values),
        "reasons": json.dumps({n: why for n, why in enumerate(block.reasons) if why}),
        "queries": str(len(block.reasons)),
        "calls": str(block.calls),
        "seconds": repr(block.seconds),
        "prepare_seconds": repr(block.prepare_seconds),
    }
    return bytes(save({"raw": values}, metadata))


def _decoded(
    content: bytes, description: Mapping[str, Any] | None, key: str = ""
) -> ScoredBlock | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    head = _metadata(content)
    try:
        values = load(content)["raw"] if head else None
        if head is None or values is None or _digest(values) != head["digest"]:
            return None
        if description is not None and head["description"] != _canonical(description):
            return None
        if description is None and description_key(json.loads(head["description"])) != key:
            return None
        # what no scorer returns was forged; and the count bounds what is taken for it
        if np.isinf(values).any() or not 0 <= int(head["queries"]) <= 1 << 24:
            return None
        reasons = [""] * int(head["queries"])
        for place, why in json.loads(head["reasons"]).items():
            reasons[int(place)] = why
        return ScoredBlock(
            values,
            tuple(reasons),
            int(head["calls"]),
            float(head["seconds"]),
            float(head["prepare_seconds"]),
        )
    except (SafetensorError, KeyError, ValueError, IndexError, TypeError, RecursionError):
        return None


def _metadata(content: bytes) -> dict[str, str] | None:
    """Return the strings in the head of a safetensors file."""
    try:
        size = int.from_bytes(content[:8], "little")
        head = parse_json(content[8 : 8 + size])
        found = head["__metadata__"]
        parse_json(found["description"])
        return {str(key): str(value) for key, value in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _head(path: Path) -> bytes:
    """Return the beginning of a file, up to where its scores start."""
    with path.open("rb") as file:
        size = file.read(8)
        return size + file.read(min(int.from_bytes(size, "little"), 1 << 24))


def _digest(values: NDArray[np.float32]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(values).data, digest_size=16).hexdigest()


def _is_marker(path: Path) -> bool:
    try:
        return bool(parse_json(path.read_bytes()) == CONTENT)
    except (OSError, ValueError):
        return False
