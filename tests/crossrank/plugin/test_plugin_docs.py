"""The documentation of plugins says what the code does."""

import inspect
import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import crossrank as cr
from crossrank.plugin import hookspecs, registry
from crossrank.testing import Check, check_reranker

DOCS = Path(__file__).parents[3] / "docs" / "plugins.md"
TEXT = DOCS.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("crossrank_"))


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_documented_with_its_arguments(name: str) -> None:
    arguments = ", ".join(inspect.signature(getattr(hookspecs, name)).parameters)
    assert f"`{name}({arguments})`" in TEXT


def test_every_group_is_documented_and_has_its_hook() -> None:
    assert len(HOOKS) == len(registry.GROUPS)
    for group in registry.GROUPS.values():
        assert f"`{group}`" in TEXT


def documented_plugin() -> type[cr.Reranker]:
    names: dict[str, Any] = {"__name__": "documented"}
    with patch.dict(registry._registered, clear=True):
        exec(compile(BLOCKS[0], str(DOCS), "exec"), names)
        return registry.load_reranker("dot")


def test_the_plugin_in_25_lines_has_no_more() -> None:
    assert "in 25 lines" in TEXT
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 25
    assert documented_plugin().__name__ == "DotReranker"


@pytest.mark.parametrize("check", check_reranker(documented_plugin(), temperature=0.1))
def test_the_plugin_in_25_lines_keeps_the_promises(check: Check) -> None:
    check()


def test_the_documented_hook_is_one() -> None:
    module = next(block for block in BLOCKS if "@cr.hookimpl" in block)
    names: dict[str, Any] = {}
    exec(compile(module, str(DOCS), "exec"), names)
    hook = names["crossrank_reranker"]
    assert hook.crossrank_impl is not None
    assert not inspect.signature(hook).parameters
