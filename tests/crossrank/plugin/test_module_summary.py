"""A module's first line is read without importing it or the packages above it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from crossrank.plugin._module_summary import module_summary


@pytest.mark.parametrize(
    ("source", "summary"),
    [
        ('"""Say hello.\n\nMore.\n"""\nraise SystemExit', "Say hello."),
        ("raise SystemExit", ""),
        ("def broken(:", ""),
        ("\0", ""),
        ('"""Überschrift"""', "Überschrift"),
    ],
)
def test_the_first_line(
    source: str, summary: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "unread_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "inner.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert module_summary("unread_package.inner") == summary
    assert "unread_package" not in sys.modules


@pytest.mark.parametrize("module", ["no_such_module_here", "json.nothing", "sys", "math"])
def test_a_module_without_source(module: str) -> None:
    assert module_summary(module) == ""


def test_a_built_in_command() -> None:
    assert module_summary("crossrank_knowledge.plugin").startswith("Build, whiten, refine")
