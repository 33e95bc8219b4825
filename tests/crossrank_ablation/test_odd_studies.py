"""Whatever stands at one place of a study's file: it is read, or refused by one short error."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossrank.errors import CrossrankError
from crossrank_ablation.config import read_study
from toys.odd import odd

ROOT = Path(__file__).parents[2]
STUDY = tomllib.loads((ROOT / "examples/ablations/flickr8k.toml").read_text(encoding="utf-8"))
LONGEST_MESSAGE = 1500


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where something stands, as keys and numbers from the outside in."""
    if path:
        yield path
    members: Any = {}
    if isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in dict(members).items():
        yield from places(member, (*path, key))


def written(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return the study with another value at one place."""
    study = copy.deepcopy(STUDY)
    table: Any = study
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    return study


@pytest.mark.parametrize("table", sorted(STUDY))
def test_it_is_read_or_refused(table: str) -> None:
    for path in places(STUDY[table], (table,)):
        for value in odd():
            try:
                read_study(written(path, value), ROOT)
            except CrossrankError as error:
                assert len(str(error)) < LONGEST_MESSAGE, (path, str(error))
