"""The public list of docs/plugins.md: ``python tests/house/public_list.py`` writes it anew."""

from __future__ import annotations

import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
HEADING = "## The public list\n"
MODULES = (
    *("crossrank", "crossrank.plugin", "crossrank.testing", "crossrank.errors"),
    *("crossrank.evaluation", "crossrank.report", "crossrank.cli", "crossrank.cli.kit"),
)
INTRODUCTION = """
What a plugin may import, and what stays when versions change: the names below and nothing else.
Ours use no others (`pytest tests/house`). Names of the contract are used as `cr.Reranker`,
`cr.Block`, …; `crossrank.plugin` and `crossrank.plugin.contract`, where they are defined, list them
once more.
"""


def modules() -> list[str]:
    """Return the names of the public modules, those of the plugin kit included."""
    kit = import_module("crossrank.plugin")
    parts = [part.name for part in pkgutil.iter_modules(kit.__path__) if part.name[0] != "_"]
    place = MODULES.index("crossrank.plugin") + 1
    return [*MODULES[:place], *(f"crossrank.plugin.{part}" for part in parts), *MODULES[place:]]


def summary(module: str) -> str:
    """Return the first line of a module's docstring, without the full stop."""
    text = inspect.getdoc(import_module(module)) or ""
    first = text.partition("\n\n")[0].replace("\n", " ")
    return re.sub(r"``?([^`]+)``?", r"`\1`", first).rstrip(".")


def section() -> str:
    """Return the section as it has to stand in the page."""
    rows = [f"| `{module}` | {summary(module)} | {names_of(module)} |" for module in modules()]
    table = "\n".join(["| module | | names |", "|---|---|---|", *rows])
    return f"{HEADING}{INTRODUCTION}\n{table}\n"


def names_of(module: str) -> str:
    return ", ".join(f"`{name}`" for name in sorted(import_module(module).__all__))


if __name__ == "__main__":
    before, _, _ = PAGE.read_text(encoding="utf-8").partition(HEADING)
    PAGE.write_text(before.rstrip("\n") + "\n\n" + section(), encoding="utf-8")
