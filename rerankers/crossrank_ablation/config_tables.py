"""The tables of a configuration: its values one by one, and the lines on which faults stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from crossrank.errors import InputError, nearest
from crossrank_ablation.toml_lines import line_of


class Tables:
    """A configuration's values, and where they stand.

    They were read from the text of the file at a path; without a text, paths are relative to that
    folder.  `root` stands in place of ``data.root``.
    """

    def __init__(
        self, values: dict[str, Any], text: str | None, path: Path, root: str | Path | None
    ) -> None:
        self.values, self.text, self.path = values, text, path
        folder = path.parent if text is not None else path
        own = self.table("data").get("root", ".")
        self.root = (Path(root) if root is not None else folder / str(own)).absolute()

    def fail(self, path: Sequence[str], message: str) -> NoReturn:
        """Refuse the configuration, saying on which line the key stands."""
        where = "ablate"
        if self.text is not None:
            line = line_of(self.text, path)
            where = f"{self.path}" if line is None else f"{self.path}:{line}"
        raise InputError(f"{where}: {message.removeprefix('ablate: ')}")

    def table(self, *path: str) -> dict[str, Any]:
        """Return a table; an empty one where there is none."""
        found: Any = self.values
        for key in path:
            found = found.get(key, {})
            if not isinstance(found, Mapping):
                self.fail(path, f"{'.'.join(path)} is {found!r:.80}; it must be a table")
        return dict(found)

    def check_keys(self, path: tuple[str, ...], known: Iterable[str]) -> None:
        """Refuse a key that the table at a path does not have."""
        known = tuple(known)
        for key in self.table(*path):
            if key not in known:
                where = f"[{'.'.join(path)}]" if path else "the configuration"
                self.fail((*path, key), f"{where} has no key {key!r:.80}{nearest(key, known)}")

    def several(self, path: tuple[str, ...], given: Any) -> list[Any]:
        """Return the values of a list; a single one stands for a list of one."""
        values = list(given) if isinstance(given, list | tuple | range) else [given]
        if not values:
            self.fail(path, f"{'.'.join(path)} is empty; give at least one value")
        return values

    def texts(self, path: tuple[str, ...], given: Any) -> tuple[str, ...]:
        """Return one text or several."""
        values = self.several(path, given)
        if not all(isinstance(each, str) for each in values):
            self.fail(path, f"{'.'.join(path)} is {given!r:.80}; give texts")
        return tuple(values)

    def count(self, path: tuple[str, ...], given: Any, least: int) -> int:
        """Return a whole number that is not below `least`."""
        if isinstance(given, bool) or not isinstance(given, int) or given < least:
            self.fail(path, f"{'.'.join(path)} is {given!r:.80}; give a whole number from {least}")
        return given

    def flag(self, path: tuple[str, ...], given: Any) -> bool:
        """Return true or false."""
        if not isinstance(given, bool):
            self.fail(path, f"{'.'.join(path)} is {given!r:.80}; give true or false")
        return given

    def number(self, path: tuple[str, ...], given: Any) -> float:
        """Return a finite number."""
        if isinstance(given, bool) or not isinstance(given, int | float) or not isfinite(given):
            self.fail(path, f"{'.'.join(path)} is {given!r:.80}; give a number")
        return float(given)

    def fraction(self, path: tuple[str, ...], given: Any) -> float:
        """Return a number between 0 and 1."""
        if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < 1:
            self.fail(path, f"{'.'.join(path)} is {given!r:.80}; give a number between 0 and 1")
        return float(given)
