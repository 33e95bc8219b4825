"""Files of benchmarks: found by pattern, read as JSON, their entries checked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crossrank.errors import FormatError, InputError
from crossrank.plugin.files import read_json, read_json_lines


def find_files(
    name: str, data: Path, patterns: Sequence[str], folders: Sequence[str]
) -> list[Path]:
    """Return the files of a benchmark.

    Parameters
    ----------
    name
        The benchmark, for messages.
    data
        A file, which is it; or a folder, which holds them, or has one of `folders` that does.
    patterns
        Of file names, the first that finds something counts.
    folders
        Relative to `data`.
    """
    if os.path.isfile(data):  # noqa: PTH113 - it never raises, however long the name
        return [data]
    if not os.path.isdir(data):  # noqa: PTH112
        raise InputError(f"bench {name}: {data} is neither a folder nor a file; check --data")
    for folder in ("", *folders):
        for pattern in patterns:
            found = sorted(path for path in (data / folder).glob(pattern) if path.is_file())
            if found:
                return found
    raise InputError(
        f"bench {name}: {data} holds no {' or '.join(patterns)}, and neither does a folder of the "
        f"benchmark in it ({', '.join(folders)}); give the folder that does as --data"
    )


def content_of(name: str, path: Path) -> Any:
    """Return what a JSON file, or a file of JSON lines, holds."""
    if path.suffix == ".jsonl":
        return [entry for _, entry in read_json_lines(path)]
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise FormatError(f"bench {name}: {path} cannot be read as JSON: {error}") from error


def entries(name: str, path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a list by their number, of an object by their key."""
    data = content_of(name, path)
    if isinstance(data, Mapping):
        yield from ((str(key), value) for key, value in data.items())
    elif isinstance(data, list):
        yield from ((str(place), value) for place, value in enumerate(data))
    else:
        raise FormatError(f"bench {name}: {path} holds neither a list nor an object of items")


def text_of(where: str, entry: Any, *keys: str) -> str:
    """Return the first of some keys that an entry has, a non-empty str."""
    if isinstance(entry, Mapping):
        for key in keys:
            value = entry.get(key)
            if isinstance(value, str) and value.strip():
                return value
    raise FormatError(f"{where} has no text under {' or '.join(map(repr, keys))}")
