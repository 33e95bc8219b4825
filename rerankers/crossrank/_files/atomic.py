"""Files and folders that appear under their final name only when they are complete."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from crossrank._files.holding import holding, remove_abandoned, unfinished
from crossrank.errors import CrossrankError, StoreError


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[str]]:
    """Open a text file that replaces `path` when the block ends without an exception.

    Raises
    ------
    StoreError
        If it cannot be written: no such folder, no permission, disk full.
    """
    with _replacing(path, "x", "utf-8", "\n") as file:
        yield file


@contextmanager
def atomic_binary(path: Path) -> Iterator[IO[bytes]]:
    """Open a file of bytes that replaces `path` when the block ends without an exception.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    with _replacing(path, "x+b") as file:
        yield file


def atomic_bytes(path: Path, content: bytes) -> None:
    """Write a file that appears, or replaces `path`, only when it is complete.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    with atomic_binary(path) as file:
        file.write(content)


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
        remove_abandoned(path)
    partial = unfinished(path)
    try:
        with disk_errors(path):
            partial.mkdir()
            with holding(partial):
                yield partial
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


def refuse_link(path: Path) -> None:
    """Refuse a name that a link stands at: what is written there would land elsewhere.

    Raises
    ------
    StoreError
        If `path` is a symbolic link, wherever it points.
    """
    if path.is_symlink():
        raise StoreError(f"{path} is a link; remove it, so that nothing is written elsewhere")


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


@contextmanager
def _replacing(
    path: Path, mode: str, encoding: str | None = None, newline: str | None = None
) -> Iterator[IO[Any]]:
    partial = unfinished(path)
    try:
        with disk_errors(path):
            # the system applies the umask
            with partial.open(mode, encoding=encoding, newline=newline) as file, holding(partial):
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink()
