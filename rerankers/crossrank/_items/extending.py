"""Extending a collection's folder: items appended, features added, while others read it.

Files are never written over.  What is new lies beside the old under names with a number, and the
manifest that says which ones count is replaced in one step.  What it no longer names stays for
those who have it open, until the folder is extended an hour later.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from crossrank._files.atomic import atomic_file, disk_errors
from crossrank._items.collection import Collection
from crossrank._items.collection_folder import write_ids
from crossrank._items.feature import Feature
from crossrank._items.joining import check_joinable, write_parts
from crossrank._items.manifest import (
    MANIFEST,
    OF_FEATURE,
    content_digest,
    file_record,
    read_manifest,
    stem_of,
)
from crossrank._items.provenance import remember
from crossrank.errors import DuplicateIdError, MissingFeatureError, StoreError

try:
    import fcntl
except ImportError:  # without it two processes that extend a folder at once must be kept apart
    fcntl = None  # type: ignore[assignment]

KEPT_SECONDS = 3600


def append_items(folder: Path, parts: Sequence[Collection], ids: Sequence[str]) -> Collection:
    """Append the items of `parts`, one after the other, to a folder whose features they have.

    An item that is there already, a feature that is missing or of another kind or size, and a
    folder that another process extends are refused.
    """
    with _changing(folder) as (manifest, number):
        before = Collection.open(folder)
        for id, row in zip(ids, before.rows(ids), strict=True):
            if row >= 0:
                raise DuplicateIdError(f"{folder} holds the id {id!r} already; leave it out")
        columns: dict[str, list[Any]] = {}
        for name in before.features:
            if any(name not in part for part in parts):
                raise MissingFeatureError(f"{folder} has the feature {name!r}, the new items not")
            columns[name] = [before[name], *(part[name] for part in parts)]
            check_joinable(f"append to {folder}", name, columns[name])
        write_ids(folder, (*before.ids, *ids), f"ids.{number}")
        for name, features in columns.items():
            stored_as = str(manifest["features"][name]).partition(" ")[2] or None
            write_parts(folder, name, features, stored_as, f"{name}.{number}")
        changed = {name: f"{name}.{number}" for name in ("ids", *columns)}
        paths, count = columns.get("path", ()), len(before) + len(ids)
        _replace(folder, manifest, number, changed, paths, count=count)
    return Collection.open(folder)


def add_features(
    folder: Path, parts: Mapping[str, Sequence[Feature]], dtypes: Mapping[str, str]
) -> Collection:
    """Add features of all its items to a collection's folder, or put others in their place.

    Per feature, `parts` are put end to end; for `dtypes` see `Collection.save`.
    """
    with _changing(folder) as (manifest, number):
        kinds = dict(manifest["features"])
        for name, features in parts.items():
            dtype = dtypes.get(name)
            kinds[name] = write_parts(folder, name, features, dtype, f"{name}.{number}")
        changed = {name: f"{name}.{number}" for name in parts}
        before = Collection.open(folder)
        paths = [*parts.get("path", ()), *([before["path"]] if "path" in before else ())]
        _replace(folder, manifest, number, changed, paths, features=kinds)
    return Collection.open(folder)


def _replace(
    folder: Path,
    manifest: dict[str, Any],
    number: int,
    stems: Mapping[str, str],
    paths: Iterable[Iterable[object]],
    **changes: Any,
) -> None:
    """Put the new manifest in place of the old one, and remove what nobody can have open."""
    known = {name: stem_of(manifest, name) for name in ("ids", *manifest["features"])}
    every = {**known, **stems}
    replaced = {stem_of(manifest, name) for name in stems}
    files = {
        name: record for name, record in manifest["files"].items() if _stem(name) not in replaced
    }
    written = {path.name: path for path in folder.iterdir() if _stem(path.name) in stems.values()}
    files |= {name: file_record(path) for name, path in sorted(written.items())}
    new = {**manifest, **changes, "state": number, "stems": every, "files": files}
    new.pop("contents", None)  # of what it was made from in one call
    remember(content_digest(new), chain.from_iterable(paths))
    with atomic_file(folder / MANIFEST) as file:
        json.dump(new, file, indent=1)
        file.write("\n")
    for path in folder.iterdir():
        counts = path.name in files or path.name in manifest["files"]
        if OF_FEATURE.fullmatch(path.name) and not counts:
            with suppress(OSError):
                if time.time() - path.lstat().st_mtime > KEPT_SECONDS:
                    path.unlink()


def _stem(name: str) -> str:
    """Return with what a file's name begins, without what says that it holds lengths."""
    return name.removesuffix(".npy").removesuffix(".jsonl").removesuffix(".lengths")


@contextmanager
def _changing(folder: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Hold the right to extend a folder; what is written stays only if all goes well."""
    read_manifest(folder)
    with disk_errors(folder), (folder / ".lock").open("a") as lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StoreError(
                    f"{folder} is being extended by another process; wait for its end"
                ) from None
        manifest = read_manifest(folder)
        number = int(manifest.get("state", 1)) + 1
        _forget(folder, number)  # of a process that was killed, or links
        try:
            yield manifest, number
        except BaseException:
            if read_manifest(folder).get("state", 1) != number:
                _forget(folder, number)
            raise


def _forget(folder: Path, number: int) -> None:
    """Remove the files of a state that has not come about."""
    for path in folder.iterdir():
        match = OF_FEATURE.fullmatch(path.name)
        if match is not None and match["state"] == f".{number}":
            path.unlink()
