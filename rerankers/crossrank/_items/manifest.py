"""The manifest of a collection's folder: what it holds, in which files, with sizes and digests."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from crossrank._files.digest import digest_of
from crossrank._files.manifest import read_manifest as manifest_of
from crossrank._files.system import is_of_system
from crossrank._items.provenance import remember
from crossrank.errors import StoreError

FORMAT = "crossrank collection"
VERSION = 1
MANIFEST = "collection.json"
OF_FEATURE = re.compile(r"(?P<name>[^\W\d]\w*)(?P<state>\.\d+)?(\.lengths)?\.(npy|jsonl)")
"""Files of features; those of a folder that was extended say by which change they came."""


def write_manifest(
    folder: Path,
    modality: str,
    encoder: str | None,
    count: int,
    kinds: Mapping[str, str],
    *,
    contents: str | None = None,
    paths: Iterable[object] = (),
) -> None:
    """Write the manifest of a folder that holds everything else already.

    It is noted as written here before it takes its place; `paths` are those that it holds.
    """
    files = {path.name: file_record(path) for path in sorted(folder.iterdir())}
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "modality": modality,
        "encoder": encoder,
        "count": count,
        "features": dict(kinds),
        "files": files,
        **({} if contents is None else {"contents": contents}),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    remember(content_digest(manifest), paths)


def content_digest(manifest: Mapping[str, Any]) -> str:
    """Return by what a collection on disk is recognised: the digest of its files' digests."""
    digests = sorted((name, entry["digest"]) for name, entry in manifest["files"].items())
    return hashlib.blake2b(json.dumps(digests).encode(), digest_size=16).hexdigest()


def file_record(path: Path) -> dict[str, Any]:
    """Return what a manifest says of a file."""
    return {"bytes": path.stat().st_size, "digest": digest_of(path)}


def stem_of(manifest: Mapping[str, Any], name: str) -> str:
    """Return with what the names of a feature's files begin; ``"ids"`` for the ids'."""
    return str(manifest.get("stems", {}).get(name, name))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a collection folder, of this kind and version."""
    path = folder / MANIFEST
    if not os.path.isdir(folder):  # noqa: PTH112 - it never raises, whatever the name
        raise StoreError(f"{folder} is not a folder; make it with 'crossrank encode … -o {folder}'")
    manifest = manifest_of(path, FORMAT, VERSION, "encode the collection again")
    manifest.setdefault("encoder", None)
    wrong = _wrong_entry(manifest) or _wrong_stem(manifest) or _wrong_feature(manifest)
    if wrong:
        raise StoreError(f"{path} {wrong}; encode the collection again")
    return manifest


def _wrong_entry(manifest: Mapping[str, Any]) -> str:
    """Return what is wrong with the entries themselves; nothing where all is well."""
    expected = {"modality": str, "count": int, "features": dict, "files": dict}
    for key, kind in expected.items():
        entry = manifest.get(key)
        if not isinstance(entry, kind) or isinstance(entry, bool):
            return f"lacks {key!r}"
    if not isinstance(manifest["encoder"], str | None) or manifest["count"] < 0:
        return "lacks 'encoder' or 'count'"
    for name, entry in manifest["files"].items():
        if not isinstance(entry, dict) or not {"bytes", "digest"} <= set(entry):
            return f"does not say size and digest of {name}"
    return ""


def _wrong_stem(manifest: Mapping[str, Any]) -> str:
    """Return what is wrong with the names of files, of a folder that was extended."""
    stems, state = manifest.get("stems", {}), manifest.get("state", 1)
    if not isinstance(stems, dict) or not isinstance(state, int) or isinstance(state, bool):
        return "has no stems or state"
    for name, stem in stems.items():
        if not isinstance(stem, str) or not re.fullmatch(rf"{re.escape(name)}(\.\d+)?", stem):
            return f"has a wrong file for {name!r}"
    return ""


def _wrong_feature(manifest: Mapping[str, Any]) -> str:
    """Return which feature is no file of the folder: what is read is counted among its files."""
    of_ids = f"{stem_of(manifest, 'ids')}.jsonl"
    for name, kind in manifest["features"].items():
        file = f"{stem_of(manifest, name)}.{'jsonl' if kind == 'json' else 'npy'}"
        if not isinstance(kind, str) or file not in manifest["files"] or file == of_ids:
            return f"has no file of the feature {name!r}"
    return ""


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    present = {path.name: path for path in folder.iterdir() if not is_of_system(path.name)}
    files = manifest["files"]
    for name, entry in files.items():
        if name not in present:
            raise StoreError(f"{folder} lacks its file {name}; encode the collection again")
        size = present[name].stat().st_size
        if size != entry["bytes"]:
            raise StoreError(
                f"{folder / name} has {size} bytes where {entry['bytes']} were written; it is "
                "truncated or was changed; encode the collection again"
            )
    for name in sorted(set(present) - set(files) - {MANIFEST}):
        if not is_of_another_state(name, manifest):
            raise StoreError(
                f"{folder / name} does not belong to the collection; move it elsewhere"
            )


def is_of_another_state(name: str, manifest: Mapping[str, Any]) -> bool:
    """Tell whether a file is what a collection was before it was extended, or will be then."""
    match = OF_FEATURE.fullmatch(name)
    if match is None:
        return False
    known = {"ids", *manifest["features"]}
    return match["state"] is not None or ("stems" in manifest and match["name"] in known)
