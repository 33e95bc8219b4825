"""Files of one JSON value a line: read lazily as a column, or eagerly with line numbers."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from crossrank._files.parsing import check_regular, parse_json
from crossrank.errors import FormatError, StoreError


class JsonLines(Sequence[Any]):
    """A column of JSON values in a file, read on first use; it must hold `count` of them."""

    __slots__ = ("_count", "_values", "path")

    def __init__(self, path: Path, count: int) -> None:
        self.path = path
        self._count = count
        self._values: tuple[Any, ...] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._read()[index]

    def _read(self) -> tuple[Any, ...]:
        if self._values is None:
            values = tuple(value for _, value in read_json_lines(self.path))
            if len(values) != self._count:
                raise StoreError(
                    f"{self.path} holds {len(values)} values where {self._count} were written; "
                    "the file was changed; encode the collection again"
                )
            self._values = values
        return self._values


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the number (from 1) and the bytes of every line, without its end or a byte-order mark.

    A line ends with LF, CR LF or, as on old Macs, CR.
    """
    try:
        check_regular(path)
        number = 0
        with path.open("rb") as file:
            for lines in file:  # each ends with LF
                for line in lines.removesuffix(b"\n").removesuffix(b"\r").split(b"\r"):
                    number += 1
                    yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
    except (OSError, ValueError) as error:  # also a NUL in the path
        what = getattr(error, "strerror", None) or error
        raise FormatError(f"{path} cannot be read: {what}") from error


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number (from 1) and the value of every line that is not blank.

    Raises
    ------
    FormatError
        Naming the file and line that is not JSON or not UTF-8.
    """
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        try:
            value = parse_json(line)
        except ValueError as error:
            raise FormatError(f"{path}:{number} is not a JSON value: {error}") from error
        yield number, value


def json_line(value: Any) -> str:
    """Return a value as one line of JSON, characters kept as they are."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"
