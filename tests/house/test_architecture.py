"""docs/architecture.md names functions and files that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
PAGE = (HOUSE / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOTS = [HOUSE / "rerankers" / "crossrank", *(HOUSE / root for root in ("rerankers", "plugins"))]
ROOTS += [HOUSE / "knowledge"]
STEPS = re.findall(r"^\| \d+ \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)


def names_in(path: Path) -> set[str]:
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.mark.parametrize(("functions", "rooms"), STEPS)
def test_every_step_is_where_the_page_says(functions: str, rooms: str) -> None:
    known: set[str] = set()
    for room in re.findall(r"`([^`]+)`", rooms):
        found = [root / room for root in ROOTS if (root / room).exists()]
        assert found, f"{room} is not there"
        known |= names_in(found[0])
    if not known:  # a step of any plugin
        return
    for name in re.findall(r"`\.?(?:\w+\.)?(\w+)`", functions):
        assert name in known, f"{name} is not in {rooms}"


def test_there_are_four_ways() -> None:
    assert len(re.findall(r"^\*\*[^*]+ → [^*]+\.\*\*", PAGE, re.MULTILINE)) == 4
    assert len(STEPS) >= 20


def test_every_file_that_a_newcomer_reads_is_there() -> None:
    newcomer = PAGE.partition("Where a newcomer adds")[2]
    for room in re.findall(r"\| `([^`]+)` \|$", newcomer, re.MULTILINE):
        assert any((root / room).exists() for root in ROOTS), room
