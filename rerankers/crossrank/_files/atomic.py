"""Files and folders that appear under their final name only when they are complete."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from crossrank._files.holding import holding, remove_abandoned, unfinished
from crossrank.errors import CrossrankError, InputError, StoreError

DEVICES = Path("/dev")
"""What stands here is the system's, links as well: standard output may be a file."""


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


def atomic_bytes(path: Path, content: bytes, *, tidy: bool = True) -> None:
    """Write a file that appears, or replaces `path`, only when it is complete.

    Parameters
    ----------
    path, content
        Where, and what.
    tidy
        Whether to look for what killed processes left of that file; where thousands lie side by
        side, do so once for all of them.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    with _replacing(path, "x+b", tidy=tidy) as file:
        file.write(content)


def remove_partial(folder: Path, *names: str) -> None:
    """Remove what a killed process left unfinished in a folder that nobody else writes to.

    `names` are those of the files whose unfinished forms are meant; all by default.
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
    with disk_errors(path):
        refuse_existing(path)
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
    """Refuse a name that a link stands at: what is written there would land elsewhere."""
    if path.is_symlink():
        raise StoreError(f"{path} is a link; remove it, so that nothing is written elsewhere")


def beside(path: Path, ending: str) -> Path:
    """Return a path whose name has an ending more, where what is to become `path` grows.

    Raises
    ------
    StoreError
        If it has no name, such as the present folder.
    """
    if path.name in ("", ".."):
        raise StoreError(f"{str(path)!r} is no name for a new folder; give one")
    return path.with_name(path.name + ending)


def possible(path: str | Path) -> Path:
    """Return a path, after refusing a name that is too long, or holds a NUL or a lone surrogate."""
    try:
        os.lstat(path)
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) or error.errno == errno.ENAMETOOLONG:
            raise StoreError(f"nothing can be called {str(path)!r:.80}: {error!s:.80}") from error
    return Path(path)


def refuse_special(path: Path) -> None:
    """Refuse a name at which a device, a pipe or a socket stands: a file would take its place.

    Also behind a link, such as ``/dev/stdout``.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # nothing is there
        return
    kept = path.absolute().parent == DEVICES
    if kept or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise StoreError(f"{path} is no regular file, which would be replaced; give another name")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk complains of into one clear error about `path`."""
    possible(path)
    try:
        yield
    except CrossrankError:
        raise
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path} could not be written: {error.object!r:.80} is not valid Unicode (a lone "
            "surrogate); correct how it is read, or leave it out"
        ) from error
    except OSError as error:
        # numpy says "62208 requested and 12256 written", without an errno
        full = error.errno in (errno.ENOSPC, errno.EDQUOT) or "requested and" in str(error)
        mend = "free some space and run again" if full else "check the folder and its permissions"
        raise StoreError(f"{path} could not be written: {error}; {mend}") from error


@contextmanager
def _replacing(
    path: Path,
    mode: str,
    encoding: str | None = None,
    newline: str | None = None,
    tidy: bool = True,
) -> Iterator[IO[Any]]:
    with disk_errors(path):
        refuse_special(path)
        if tidy:
            remove_abandoned(path)
        # the system applies the umask
        with _new(path, lambda new: new.open(mode, encoding=encoding, newline=newline)) as (
            partial,
            file,
        ):
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                file.close()
                partial.replace(path)
            finally:
                with suppress(OSError):
                    file.close()
                with suppress(OSError):
                    partial.unlink()


@contextmanager
def _new(path: Path, make: Callable[[Path], IO[Any]]) -> Iterator[tuple[Path, IO[Any]]]:
    """Make an unfinished file, and hold it until it is none any more."""
    while True:
        partial = unfinished(path)
        file = make(partial)
        with ExitStack() as stack:
            held: bool | None = False
            with suppress(FileNotFoundError):
                held = stack.enter_context(holding(partial))
            if held is not False:
                yield partial, file
                return
        file.close()  # somebody took it for abandoned, before it was held
