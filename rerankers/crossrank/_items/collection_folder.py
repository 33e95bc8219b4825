"""Collections on disk: a folder of ``.npy`` and ``.jsonl`` files under one manifest.

========================= ====================================================================
``collection.json``       format version, modality, encoder, features, size and digest of files
``ids.jsonl``             one id a line
``<feature>.npy``         an array, or the flat part of a ragged one
``<feature>.lengths.npy`` how many rows each item has, for a ragged one
``<feature>.jsonl``       one JSON value a line, for everything else
========================= ====================================================================

The flat part of a feature that the manifest calls ``ragged bfloat16`` or ``ragged int8`` holds the
codes of `crossrank._items.compact`.

A folder that was extended (`crossrank._items.extending`) has files with numbers, such as
``tokens.2.npy``, and a manifest that says under ``stems`` which ones count; what they replaced
stays for a while, for those who have it open.

Opening checks names and sizes and maps the arrays; nothing is read before it is used, and nothing
in the folder is ever executed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossrank._files.digest import digest_of
from crossrank._files.json_lines import JsonLines, json_line, read_json_lines
from crossrank._items.feature import Feature
from crossrank._items.feature_files import open_feature
from crossrank._items.manifest import (
    check_files,
    content_digest,
    read_manifest,
    stem_of,
)
from crossrank._items.provenance import StoredPaths
from crossrank.errors import StoreError

MOST_TRIES = 5


@dataclass(frozen=True, slots=True)
class StoredCollection:
    """The columns of a collection that lies in a folder, and by what it is recognised."""

    ids: Sequence[str]
    modality: str
    encoder: str | None
    features: Mapping[str, Feature]
    digest: str
    folder: Path


def write_ids(folder: Path, ids: Sequence[str], stem: str = "ids") -> None:
    """Write the ids of a collection into its folder."""
    with (folder / f"{stem}.jsonl").open("w", encoding="utf-8", newline="\n") as lines:
        lines.writelines(json_line(id) for id in ids)


def open_collection(folder: Path) -> StoredCollection:
    """Open a folder that `Collection.save` or `crossrank.encode` wrote, and refuse any other."""
    for _ in range(MOST_TRIES - 1):
        manifest = read_manifest(folder)
        try:
            return _opened(folder, manifest)
        except StoreError:
            if read_manifest(folder) == manifest:
                raise
    # it was extended meanwhile, and the files that were looked for may be gone
    return _opened(folder, read_manifest(folder))


def verify_collection(folder: Path) -> None:
    """Read every byte of a collection and refuse a file that is not what its manifest says.

    Opening looks at sizes alone.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    for name, entry in manifest["files"].items():
        if digest_of(folder / name) != entry["digest"]:
            raise StoreError(
                f"{folder / name} is not what was written, though as long; encode the collection "
                "again"
            )


def _opened(folder: Path, manifest: Mapping[str, Any]) -> StoredCollection:
    folder = folder.absolute()  # rows are read later, perhaps from another working directory
    check_files(folder, manifest)
    count = int(manifest["count"])
    path = folder / f"{stem_of(manifest, 'ids')}.jsonl"
    ids = [id for _, id in read_json_lines(path)]
    features = {
        name: open_feature(folder, stem_of(manifest, name), name, kind, count)
        for name, kind in manifest["features"].items()
    }
    if isinstance(paths := features.get("path"), JsonLines):
        stated = str(manifest["files"][paths.path.name]["digest"])
        features["path"] = StoredPaths(paths.path, count, stated, content_digest(manifest))
    if len(ids) != count:
        raise StoreError(f"{path} holds {len(ids)} ids where {count} were written")
    return StoredCollection(
        ids,
        manifest["modality"],
        manifest["encoder"],
        features,
        content_digest(manifest),
        folder.resolve(),
    )
