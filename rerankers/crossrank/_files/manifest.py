"""The manifest of a folder: the JSON file that says of what kind and version the folder is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossrank._files.parsing import read_json
from crossrank.errors import StoreError


def read_manifest(path: Path, format: str, version: int, mend: str) -> dict[str, Any]:
    """Return what a manifest says, if it is one of this kind and version.

    Parameters
    ----------
    path
        The file, in the folder that it speaks of.
    format, version, mend
        Such as ``"crossrank collection"``, 1, and what would help: ``"encode … again"``.

    Raises
    ------
    StoreError
        If there is none, or it is of another kind or version.
    """
    folder, kind = path.parent, format.removeprefix("crossrank ")
    if not path.is_file():
        raise StoreError(f"{folder} is not a {kind}: it has no {path.name}")
    try:
        manifest = read_json(path)
    except ValueError as error:
        raise StoreError(f"{path} cannot be read: {error}; {mend}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != format:
        raise StoreError(f"{path} is not the manifest of a {format}")
    if manifest.get("version") != version:
        raise StoreError(
            f"{folder} has format version {manifest.get('version')}, this crossrank reads "
            f"{version}; {mend} or use the crossrank that wrote it"
        )
    return manifest
