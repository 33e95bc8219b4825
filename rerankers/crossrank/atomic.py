"""Files and folders that appear under their final name only when they are complete."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from crossrank.errors import CrossrankError, StoreError


@contextmanager
def atomic_file(path: Path, mode: str = "w") -> Iterator[IO[str]]:
    """Open a text file that replaces `path` when the block ends without an exception.

    Raises
    ------
    StoreError
        If it cannot be written: no such folder, no permission, disk full.
    """
    with disk_errors(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    partial = Path(name)
    try:
        with disk_errors(path):
            with os.fdopen(handle, mode, encoding="utf-8", newline="\n") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.chmod(0o666 & ~_umask())
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def atomic_bytes(path: Path, content: bytes) -> None:
    """Write a file that appears, or replaces `path`, only when it is complete.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    with disk_errors(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    partial = Path(name)
    try:
        with disk_errors(path):
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.chmod(0o666 & ~_umask())
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remove_partial(folder: Path, *names: str) -> None:
    """Remove what a killed process left unfinished in a folder that nobody else writes to.

    Parameters
    ----------
    folder
        Where.
    *names
        Of the files whose unfinished forms are meant; all by default.
    """
    for name in names or ("",):
        for path in folder.glob(f".{name}.*" if name else ".*"):
            path.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes `path` when the block ends without an exception.

    Raises
    ------
    StoreError
        If `path` exists, or cannot be written.
    """
    refuse_existing(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        with disk_errors(path):
            yield partial
            partial.chmod(0o777 & ~_umask())
            partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_existing(path: Path) -> None:
    """Refuse to write over a folder that holds something.

    Raises
    ------
    StoreError
        If `path` exists and is not an empty folder.
    """
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists():
        raise StoreError(f"{path} exists already; remove it or choose another name")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk complains of into one clear error about `path`."""
    try:
        yield
    except CrossrankError:
        raise
    except OSError as error:
        # numpy says "62208 requested and 12256 written", without an errno
        full = error.errno in (errno.ENOSPC, errno.EDQUOT) or "requested and" in str(error)
        mend = "free some space and run again" if full else "check the folder and its permissions"
        raise StoreError(f"{path} could not be written: {error}; {mend}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
