"""Files that appear under their name only when they are complete, digests, bounded caches."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from crossrank._files.atomic import (
    atomic_binary,
    atomic_bytes,
    atomic_file,
    atomic_folder,
    beside,
    disk_errors,
    refuse_existing,
)
from crossrank._files.digest import digest_of
from crossrank._files.json_lines import json_line, read_json_lines
from crossrank._files.limit import CachedFile, cached_files, evict, remove_stale
from crossrank._files.manifest import read_manifest
from crossrank._files.npy_rows import StoredArray
from crossrank._files.parsing import (
    check_regular,
    map_npy,
    parse_json,
    parse_toml,
    read_json,
    read_toml,
)
from crossrank._items.item import IMAGE_SUFFIXES
from crossrank.errors import StoreError

map_part = StoredArray.part_of


def file_digest(who: str, path: str | Path, mend: str = "check the path") -> str:
    """Return a digest of a file's content, read again only when the file was changed.

    Parameters
    ----------
    who
        Who asks, for the message.
    path
        The file.
    mend
        What would help if it cannot be read.

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    try:
        stat = os.stat(path)  # noqa: PTH116
        return _digest(os.fspath(path), stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise StoreError(f"{who}: {path} cannot be read: {error.strerror}; {mend}") from error


@lru_cache(maxsize=1 << 16)  # some digest every picture of a gallery
def _digest(path: str, size: int, changed: int) -> str:
    """Digest a file; size and time of change are there to notice that it is another one."""
    return digest_of(Path(path))


__all__ = [
    "IMAGE_SUFFIXES",
    "CachedFile",
    "atomic_binary",
    "atomic_bytes",
    "atomic_file",
    "atomic_folder",
    "beside",
    "cached_files",
    "check_regular",
    "disk_errors",
    "evict",
    "file_digest",
    "json_line",
    "map_npy",
    "map_part",
    "parse_json",
    "parse_toml",
    "read_json",
    "read_json_lines",
    "read_manifest",
    "read_toml",
    "refuse_existing",
    "remove_stale",
]
