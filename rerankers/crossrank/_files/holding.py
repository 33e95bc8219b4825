"""Unfinished files and folders: held by whoever writes them, removed when nobody does any more.

A process that is killed leaves its unfinished copy behind, hidden and as large as the whole.  The
system's lock on it goes with the process, so that the next to write the same name can tell.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

try:
    import fcntl
except ImportError:  # no such locks here: what is left behind stays
    fcntl = None  # type: ignore[assignment]

RANDOM_BYTES = 6


def unfinished(path: Path) -> Path:
    """Return a hidden name beside `path` that nobody else uses."""
    return path.parent / f".{path.name}.{token_hex(RANDOM_BYTES)}"


@contextmanager
def holding(path: Path) -> Iterator[bool | None]:
    """Hold a file or folder.

    Yields True if it is held now, False if another process holds it or it is gone, and None where
    the file system cannot tell.
    """
    if fcntl is None:
        yield None
        return
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    file = os.open(path, flags)
    try:
        held = _locked(file)
        yield held and _is(file, path)
    finally:
        os.close(file)


def remove_abandoned(path: Path) -> None:
    """Remove what killed processes left unfinished of `path`."""
    if fcntl is None or not path.parent.is_dir():
        return
    ours = re.compile(re.escape(f".{path.name}.") + f"[0-9a-f]{{{2 * RANDOM_BYTES}}}")
    for each in list(path.parent.iterdir()):
        if not ours.fullmatch(each.name):
            continue
        with suppress(OSError), holding(each) as abandoned:
            if abandoned and each.is_dir():
                shutil.rmtree(each, ignore_errors=True)
            elif abandoned:
                each.unlink()


def _locked(file: int) -> bool | None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def _is(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except OSError:
        return False
