"""Where the paths of a stored collection come from, and whether a page may show what they name.

A page holds its pictures, and pages are handed on.  The ``path`` of a collection that somebody
else made names whatever file they like, so a page shows only pictures of collections that were
written here, by this user, and pictures in the folders that ``$CROSSRANK_PICTURES`` names.  What
was written here stands, as digests, in a file of the user's cache.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from crossrank._files.digest import digest_of
from crossrank._files.json_lines import JsonLines
from crossrank._files.user_cache import user_cache

logger = logging.getLogger(__name__)

ALLOWED = "CROSSRANK_PICTURES"
"""The variable that names folders, separated as in ``$PATH``."""
RECORD = "written"
"""The file of the user's cache."""
_own: set[str] = set()
"""What this process wrote, which not every cache lets it note, and what it found in that file."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The collection in which a path stands: its folder and its digest.

    The digest is None where its paths, when they were read, were not those that were written.
    """

    folder: Path
    collection: str | None


class StoredPath(str):
    """A path that knows which collection named it; a ``str`` in every other respect."""

    __slots__ = ("origin",)
    origin: Origin


class StoredPaths(JsonLines):
    """The feature ``path`` of a collection on disk: paths that know their origin.

    `digest` is what the manifest says of the file's content, `collection` that of the collection.
    """

    __slots__ = ("_collection", "_digest")

    def __init__(self, path: Path, count: int, digest: str, collection: str) -> None:
        super().__init__(path, count)
        self._digest, self._collection = digest, collection

    def _read(self) -> tuple[Any, ...]:
        if self._values is None:
            values = super()._read()
            whole = digest_of(self.path) == self._digest
            origin = Origin(self.path.parent, self._collection if whole else None)
            self._values = tuple(_marked(value, origin) for value in values)
        return self._values


def _marked(value: Any, origin: Origin) -> Any:
    if not isinstance(value, str):
        return value
    path = StoredPath(value)
    path.origin = origin
    return path


def may_show(path: str | Path, *folders: str | Path) -> bool:
    """Tell whether a page may hold the picture that a path names.

    Parameters
    ----------
    path
        As the collection has it: what was made a ``Path`` or another ``str`` has no origin any
        more, and is taken for the caller's own.
    *folders
        Where the caller says that pictures lie.

    Returns
    -------
    bool
        True for what the caller names, for collections written here, and below `folders` and those
        of ``$CROSSRANK_PICTURES``; links are followed before that is asked.  A collection of which
        pictures are left out is named once in the log.
    """
    if not isinstance(path, StoredPath) or _is_own(path.origin):
        return True
    if lies_in_allowed(Path(path), *folders):
        return True
    _warn(path.origin.folder)
    return False


def lies_in_allowed(path: Path, *folders: str | Path) -> bool:
    """Tell whether a file lies below folders that ``$CROSSRANK_PICTURES`` or the caller names."""
    allowed = [*folders, *filter(None, os.environ.get(ALLOWED, "").split(os.pathsep))]
    with suppress(OSError, RuntimeError, ValueError):  # a NUL, or links in a circle
        real = path.resolve()
        return any(real.is_relative_to(Path(each).resolve()) for each in allowed)
    return False


def remember(collection: str, paths: Iterable[object] = ()) -> None:
    """Note the digest of a collection as written here, unless a page may not show what it names.

    `paths` are those that it holds: a copy of a stranger's collection stays a stranger's.
    """
    origins = {path.origin for path in paths if isinstance(path, StoredPath)}
    if collection in _own or not all(map(_is_own, origins)):
        return
    _own.add(collection)
    try:
        file = user_cache(RECORD)
        file.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(file, flags, 0o600), "w", encoding="ascii") as lines:
            lines.write(f"{collection}\n")  # one write: those of several processes do not mix
    except (OSError, RuntimeError) as error:  # also: no home
        logger.debug("%s; pages of other processes leave its pictures out", error)


def _is_own(origin: Origin) -> bool:
    """Tell whether a collection was written here, and its paths are still those."""
    if origin.collection not in _own:
        with suppress(OSError, RuntimeError, ValueError):
            _own.update(user_cache(RECORD).read_text(encoding="ascii").split())
    return origin.collection in _own


@lru_cache(maxsize=256)
def _warn(folder: Path) -> None:
    logger.warning(
        "%s was not written here, so pages show none of the pictures that it names; where you "
        "trust it, name the folder of the pictures: %s=FOLDER",
        folder,
        ALLOWED,
    )
