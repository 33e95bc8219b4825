"""Banks on disk: a folder of ``bank.safetensors``, ``words.jsonl`` and ``bank.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

from crossrank.errors import InputError, StoreError
from crossrank.plugin import files
from crossrank.plugin.files import atomic_folder, json_line, read_json_lines
from crossrank_knowledge.tensors import map_tensors, write_tensors

if TYPE_CHECKING:
    from crossrank_knowledge.bank import KnowledgeBank

FORMAT = "crossrank knowledge bank"
VERSION = 1
MANIFEST, TENSORS, WORDS = "bank.json", "bank.safetensors", "words.jsonl"


def save_bank(bank: KnowledgeBank, folder: Path, recipe: str | None = None) -> None:
    """Write a bank to a new folder.

    Parameters
    ----------
    bank, folder
        What and where.
    recipe
        A digest of what it was built from, by which `build` knows its own work.

    Raises
    ------
    StoreError
        If the folder exists or cannot be written.
    InputError
        If `data` holds what JSON cannot.
    """
    with atomic_folder(folder) as partial:
        write_tensors(partial / TENSORS, bank.arrays())
        with (partial / WORDS).open("w", encoding="utf-8", newline="\n") as lines:
            lines.writelines(json_line(word) for word in bank.words)
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "words": len(bank),
            "dimensions": bank.size,
            **bank.origin(),
            "fingerprint": bank.fingerprint(),
            "recipe": recipe,
            "bytes": {name: (partial / name).stat().st_size for name in (TENSORS, WORDS)},
        }
        try:
            text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"KnowledgeBank: data cannot be written as JSON: {error}") from error
        (partial / MANIFEST).write_text(text + "\n", encoding="utf-8")


Stored: TypeAlias = tuple[tuple[str, ...], dict[str, NDArray[Any]], dict[str, Any]]
"""Words, arrays by name, and what the manifest says."""


def open_bank(folder: Path) -> Stored:
    """Return what lies in a folder that `save_bank` wrote, its arrays memory-mapped.

    Raises
    ------
    StoreError
        If the folder or a file is missing, truncated, foreign, or of another version.
    """
    manifest = read_manifest(folder)
    for name, size in manifest["bytes"].items():
        path = folder / name
        if not path.is_file():
            raise StoreError(f"{folder} lacks its file {name}; build the bank again")
        if path.stat().st_size != size:
            raise StoreError(
                f"{path} has {path.stat().st_size} bytes where {size} were written; it is "
                "truncated or was changed; build the bank again"
            )
    arrays, _ = map_tensors(folder / TENSORS)
    missing = {"prototypes", "counts", "mean"} - arrays.keys()
    words = tuple(word for _, word in read_json_lines(folder / WORDS))
    if missing or {len(words), len(arrays["counts"])} != {manifest["words"]}:
        raise StoreError(f"{folder} does not hold what its {MANIFEST} says; build the bank again")
    return words, arrays, manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a bank's folder; see `open_bank` for what it raises."""
    path = folder / MANIFEST
    manifest = files.read_manifest(path, FORMAT, VERSION, "build the bank again")
    for key in ("words", "regions", "encoder", "data", "parent", "fingerprint", "recipe", "bytes"):
        if key not in manifest:
            raise StoreError(f"{path} lacks {key!r}; build the bank again")
    whole = [manifest["words"], manifest["regions"]]
    sizes = manifest["bytes"]
    if not isinstance(sizes, dict) or not all(type(n) is int and n >= 0 for n in whole):
        raise StoreError(f"{path} has a count that is none; build the bank again")
    if not {TENSORS, WORDS} <= set(sizes) or any(Path(name).name != name for name in sizes):
        raise StoreError(f"{path} does not list the files of a bank; build the bank again")
    if not isinstance(manifest["encoder"], str | None) or not isinstance(manifest["data"], dict):
        raise StoreError(f"{path} has an encoder or data of another kind; build the bank again")
    return manifest
