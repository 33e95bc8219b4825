"""JSON, TOML and ``.npy`` as strangers write them: whatever is wrong with one is a `ValueError`.

The parsers themselves raise other things too: RecursionError on brackets in brackets, SyntaxError
and TokenError on the head of an array, and they wait for ever on a pipe.
"""

from __future__ import annotations

import json
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray


def parse_json(content: str | bytes) -> Any:
    """Return the value of a JSON text; a byte-order mark before it is left out.

    Raises
    ------
    ValueError
        If it is none, or nested too deeply.
    """
    try:
        if isinstance(content, bytes):
            content = content.decode("utf-8-sig")
        return json.loads(content.removeprefix("\ufeff"))
    except RecursionError as error:
        raise ValueError("brackets in brackets, too deep to be read") from error


def parse_toml(content: str) -> dict[str, Any]:
    """Return the table of a TOML text; a byte-order mark before it is left out.

    Raises
    ------
    ValueError
        If it is none, or nested too deeply.
    """
    import tomllib  # most programs read none

    try:
        return tomllib.loads(content.removeprefix("\ufeff"))
    except RecursionError as error:
        raise ValueError("brackets in brackets, too deep to be read") from error


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises
    ------
    ValueError
        If it is none, or nested too deeply.
    OSError
        If there is no such file, or it cannot be opened.
    """
    check_regular(path)
    return parse_json(path.read_bytes())


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table of a TOML file.

    Raises
    ------
    ValueError, OSError
        As `read_json`.
    """
    check_regular(path)
    return parse_toml(path.read_text(encoding="utf-8"))


def check_regular(path: Path) -> None:
    """Refuse a pipe, a device or a folder, which a reader would wait for or never end with.

    Raises
    ------
    OSError
        If there is nothing, or something else than a file.
    """
    path.stat()
    if not path.is_file():
        what = "a folder" if path.is_dir() else "a pipe or device"
        raise OSError(22, f"{what}, not a file; write its content to a file first", str(path))


def map_npy(path: Path) -> NDArray[Any]:
    """Map the array of a ``.npy`` file, of numbers only.

    Raises
    ------
    ValueError
        If it is no such file, or shorter than its head says.
    OSError
        If it cannot be opened.
    """
    check_regular(path)
    with path.open("rb") as file:
        if file.read(6) != np.lib.format.MAGIC_PREFIX:  # numpy would open a zip of arrays too
            raise ValueError("it is no .npy file")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (SyntaxError, TokenError, EOFError, OverflowError, TypeError, MemoryError) as error:
        raise ValueError(f"its head cannot be read: {error}") from error
    return array
