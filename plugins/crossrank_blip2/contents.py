"""Digests of pictures, by which their features are found again."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import crossrank as cr


def content_digest(path: Path) -> str:
    """Return a digest of a picture file's bytes.

    Raises
    ------
    ImageError
        If there is no such file, or it cannot be read.
    """
    try:
        stat = path.stat()
        return _digest(path, stat.st_size, stat.st_mtime_ns)
    except OSError:
        cr.open_image(path)  # says what is wrong
        raise


@lru_cache(maxsize=1 << 16)
def _digest(path: Path, size: int, changed: int) -> str:
    """Digest a file; size and time of change are there to notice that it is another one."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    return digest.hexdigest()
