"""Files that commands write: checked before the work, not after it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from crossrank._files.atomic import refuse_special
from crossrank.errors import FormatError, StoreError


def check_output(path: Path, *, force: bool) -> None:
    """Refuse an output file that exists, or whose folder does not.

    Raises
    ------
    StoreError
        With what would help.
    """
    if path.is_dir():
        raise StoreError(f"{path} is a folder; give the name of a file")
    refuse_special(path)
    if path.exists() and not force:
        raise StoreError(f"{path} exists already; choose another name, or --force to overwrite it")
    if not path.parent.is_dir():
        raise StoreError(f"{path.parent} is not a folder; make it first")


def check_run_ids(ids: Iterable[str], folder: Path) -> None:
    """Refuse ids that a run file cannot hold, naming the collection."""
    for id in ids:
        if re.search(r"\s", id):
            raise FormatError(
                f"{folder} has the id {id!r}, which cannot stand in a run file, split at white "
                "space; encode it under another id"
            )


@contextmanager
def folder_for_output(folder: Path) -> Iterator[None]:
    """Make a folder, and take it away again if the block fails and leaves it empty.

    Raises
    ------
    StoreError
        If it cannot be made.
    """
    existed = folder.is_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder} cannot be made a folder: {error.strerror}") from error
    try:
        yield
    finally:
        if not existed and not any(folder.iterdir()):
            folder.rmdir()
