"""Plugins use only what a third party can use: the public names, by the syntax trees."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

from house import public_list

ROOT = Path(__file__).parents[2]
ROOTS = ("plugins", "knowledge", "examples", "research")
FILES = sorted(path for root in ROOTS for path in (ROOT / root).rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_public_names_are_imported(path: Path) -> None:
    private = [
        f"line {getattr(node, 'lineno', 0)}: {module}.{name}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for module, name in imported(node)
        if not is_public(module, name)
    ]
    assert not private, f"not on the public list: {private}"


def imported(node: ast.AST) -> list[tuple[str, str]]:
    """Return ``(module, name)`` of what a statement imports from the core."""
    if isinstance(node, ast.Import):
        found = [(alias.name, "") for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        found = [(node.module or "", alias.name) for alias in node.names]
    else:
        return []
    return [(module, name) for module, name in found if module.partition(".")[0] == "crossrank"]


def is_public(module: str, name: str) -> bool:
    """Tell whether no part of a path is private, and its end is on the module's list."""
    if any(part.startswith("_") for part in [*module.split("."), *name.split(".")]):
        return False
    if not name:
        return True
    listed = getattr(import_module(module), "__all__", None)
    return (listed is not None and name in listed) or is_module(f"{module}.{name}")


def is_module(path: str) -> bool:
    try:
        import_module(path)
    except ModuleNotFoundError:
        return False
    return True


PUBLIC = (
    *("crossrank", "crossrank.cli", "crossrank.cli.kit", "crossrank.errors"),
    *("crossrank.evaluation", "crossrank.plugin", "crossrank.report", "crossrank.testing"),
)


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_module_lists_names_that_are_there(module: str) -> None:
    found = import_module(module)
    assert len(found.__all__) == len(set(found.__all__))
    for name in found.__all__:
        getattr(found, name)


def test_the_page_about_plugins_has_the_public_list() -> None:
    page = public_list.PAGE.read_text(encoding="utf-8")
    written = page[page.index(public_list.HEADING) :]
    assert written == public_list.section(), "run python tests/house/public_list.py"
