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

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossrank._files.atomic import atomic_folder
from crossrank._files.json_lines import JsonLines, json_line, read_json_lines
from crossrank._files.npy_rows import StoredArray
from crossrank._files.parsing import parse_json
from crossrank._files.system import is_of_system
from crossrank._items.compact import COMPACT, Compact, write_rows
from crossrank._items.feature import Feature, json_like
from crossrank._items.provenance import Origin, StoredPaths, remember
from crossrank._items.ragged import Ragged
from crossrank.errors import InputError, StoreError

if TYPE_CHECKING:
    from crossrank._items.collection import Collection

FORMAT = "crossrank collection"
VERSION = 1
MANIFEST = "collection.json"
OF_FEATURE = re.compile(r"(?P<name>[^\W\d]\w*)(?P<state>\.\d+)?(\.lengths)?\.(npy|jsonl)")
"""Files of features; those of a folder that was extended say by which change they came."""
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


def save_collection(
    collection: Collection, folder: Path, dtypes: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write a collection to a new folder.

    Parameters
    ----------
    collection, folder
        What, and where to.
    dtypes
        See `Collection.save`.

    Raises
    ------
    StoreError
        If the folder exists or cannot be written.
    MissingFeatureError, InputError
        If a feature is not there, or cannot be stored so.
    """
    for name in dtypes:
        collection[name]
    with atomic_folder(folder) as partial:
        write_ids(partial, collection.ids)
        kinds = {
            name: write_feature(partial, name, collection[name], dtypes.get(name))
            for name in collection.features
        }
        paths: Iterable[object] = ()
        if "path" in collection:
            paths = collection["path"]
        write_manifest(
            partial, collection.modality, collection.encoder, len(collection), kinds, paths=paths
        )


def write_ids(folder: Path, ids: Sequence[str], stem: str = "ids") -> None:
    """Write the ids of a collection into its folder."""
    with (folder / f"{stem}.jsonl").open("w", encoding="utf-8", newline="\n") as lines:
        lines.writelines(json_line(id) for id in ids)


def write_feature(
    folder: Path, name: str, feature: Feature, dtype: str | None = None, stem: str = ""
) -> str:
    """Write one feature into a folder and return its kind: ``array``, ``ragged`` or ``json``.

    Parameters
    ----------
    folder, name, feature
        Where to, and what.
    dtype
        As what to store floats; as they are by default.
    stem
        With what the files' names begin; `name` by default.
    """
    stem = stem if stem else name
    if not name.isidentifier():
        raise StoreError(f"a feature called {name!r} cannot be stored; use letters and digits")
    if isinstance(feature, Ragged):
        np.save(folder / f"{stem}.lengths.npy", feature.lengths, allow_pickle=False)
        path = folder / f"{stem}.npy"
        flat: Any = feature.flat
        if dtype is not None:
            write_rows(path, name, [flat], dtype)
            return f"ragged {dtype}" if dtype in COMPACT else "ragged"
        codes = flat.codes if isinstance(flat, Compact) else flat
        np.save(path, np.ascontiguousarray(codes), allow_pickle=False)
        return f"ragged {flat.stored_as}" if isinstance(flat, Compact) else "ragged"
    if dtype is not None and (dtype in COMPACT or not isinstance(feature, np.ndarray)):
        raise InputError(
            f"{name!r} cannot be stored as {dtype!r}: it is no Ragged of floats; leave it out"
        )
    if isinstance(feature, np.ndarray):
        if dtype is not None:
            write_rows(folder / f"{stem}.npy", name, [feature], dtype)
            return "array"
        # rows are read as bytes that follow each other, whatever the order in memory was
        np.save(folder / f"{stem}.npy", np.ascontiguousarray(feature), allow_pickle=False)
        return "array"
    with (folder / f"{stem}.jsonl").open("w", encoding="utf-8", newline="\n") as lines:
        lines.writelines(json_line(json_like(value)) for value in feature)
    return "json"


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
    return {"bytes": path.stat().st_size, "digest": _digest(path)}


def stem_of(manifest: Mapping[str, Any], name: str) -> str:
    """Return with what the names of a feature's files begin; ``"ids"`` for the ids'."""
    return str(manifest.get("stems", {}).get(name, name))


def open_collection(folder: Path) -> StoredCollection:
    """Open a folder that `save_collection` or `crossrank.encode` wrote.

    Raises
    ------
    StoreError
        If the folder or one of its files is missing, truncated, foreign, or of another version.
    """
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
    """Read every byte of a collection and compare it with the digests of its manifest.

    Opening looks at sizes alone.

    Raises
    ------
    StoreError
        Naming the first file that is not what was written.
    """
    manifest = read_manifest(folder)
    _check_files(folder, manifest)
    for name, entry in manifest["files"].items():
        if _digest(folder / name) != entry["digest"]:
            raise StoreError(
                f"{folder / name} is not what was written, though as long; encode the collection "
                "again"
            )


def _opened(folder: Path, manifest: Mapping[str, Any]) -> StoredCollection:
    folder = folder.absolute()  # rows are read later, perhaps from another working directory
    _check_files(folder, manifest)
    count = int(manifest["count"])
    path = folder / f"{stem_of(manifest, 'ids')}.jsonl"
    ids = [id for _, id in read_json_lines(path)]
    features = {
        name: _open_feature(folder, stem_of(manifest, name), name, kind, count)
        for name, kind in manifest["features"].items()
    }
    if isinstance(paths := features.get("path"), JsonLines):
        stated = str(manifest["files"][paths.path.name]["digest"])
        origin = Origin(paths.path, stated, content_digest(manifest))
        features["path"] = StoredPaths(paths.path, count, origin)
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


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a collection folder.

    Raises
    ------
    StoreError
        If there is none, or it is of another kind or version.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise StoreError(f"{folder} is not a folder; make it with 'crossrank encode … -o {folder}'")
    if not path.is_file():
        raise StoreError(f"{folder} is not a collection: it has no {MANIFEST}")
    try:
        manifest = parse_json(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} cannot be read: {error}; encode the collection again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise StoreError(f"{path} is not the manifest of a crossrank collection")
    if manifest.get("version") != VERSION:
        raise StoreError(
            f"{folder} has format version {manifest.get('version')}, this crossrank reads "
            f"{VERSION}; encode it again or use the crossrank that wrote it"
        )
    expected = {"modality": str, "count": int, "features": dict, "files": dict}
    for key, kind in expected.items():
        found = manifest.get(key)
        if not isinstance(found, kind) or isinstance(found, bool):
            raise StoreError(f"{path} lacks {key!r}; encode the collection again")
    if not isinstance(manifest.setdefault("encoder", None), str | None) or manifest["count"] < 0:
        raise StoreError(f"{path} lacks 'encoder' or 'count'; encode the collection again")
    for name, entry in manifest["files"].items():
        if not isinstance(entry, dict) or not {"bytes", "digest"} <= set(entry):
            raise StoreError(
                f"{path} does not say size and digest of {name}; encode the collection again"
            )
    stems, state = manifest.get("stems", {}), manifest.get("state", 1)
    if not isinstance(stems, dict) or not isinstance(state, int) or isinstance(state, bool):
        raise StoreError(f"{path} has no stems or state; encode the collection again")
    for name, stem in stems.items():
        if not isinstance(stem, str) or not re.fullmatch(rf"{re.escape(name)}(\.\d+)?", stem):
            raise StoreError(f"{path} has a wrong file for {name!r}; encode the collection again")
    for name, kind in manifest["features"].items():
        # what is read is in the folder, and is what the manifest counts among its files
        file = f"{stem_of(manifest, name)}.{'jsonl' if kind == 'json' else 'npy'}"
        of_ids = f"{stem_of(manifest, 'ids')}.jsonl"
        if not isinstance(kind, str) or file not in manifest["files"] or file == of_ids:
            raise StoreError(
                f"{path} has no file of the feature {name!r}; encode the collection again"
            )
    return manifest


def _check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
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


def _open_feature(folder: Path, stem: str, name: str, kind: str, count: int) -> Feature:
    if kind == "json":
        return JsonLines(folder / f"{stem}.jsonl", count)
    array = _map(folder / f"{stem}.npy")
    if kind == "array":
        return array
    form, _, stored_as = kind.partition(" ")
    if form == "ragged" and stored_as in ("", *COMPACT):
        flat: Any = array
        if stored_as:
            try:
                flat = Compact(array, stored_as)
            except ValueError as error:
                raise StoreError(f"{folder / stem}.npy: {error}; encode it again") from error
        return Ragged(flat, np.asarray(_map(folder / f"{stem}.lengths.npy")))
    raise StoreError(f"{folder}: the feature {name!r} is of an unknown kind {kind!r}")


def _map(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise StoreError(f"{path.parent} lacks its file {path.name}; encode the collection again")
    try:
        array = StoredArray.open(path)
    except (ValueError, OSError, EOFError) as error:
        if "mmap" in str(error) or path.stat().st_size == 0:
            raise StoreError(f"{path} is empty; encode the collection again") from error
        # numpy goes on about unpickling, which is not what to do
        what = str(error).partition(". ")[0]
        raise StoreError(
            f"{path} is not an array file: {what}; encode the collection again"
        ) from error
    return array


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
