"""Names that a package has from its own modules, each imported when it is first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast

PARSING = Lock()
"""The parser of Python 3.11 counts its depth for all threads together, and fails on several."""


def own_names(package: str, homes: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """Return a ``__getattr__``; see `crossrank.plugin.optional.lazy_names`."""

    @cache
    def places() -> Mapping[str, str]:
        return places_of(package) if homes is None else homes

    def get(name: str) -> Any:
        if name not in places():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{places()[name]}"), name)
        setattr(import_module(package), name, value)
        return value

    return get


def places_of(package: str) -> dict[str, str]:
    """Return per name the module that the package's source imports it from, for types alone."""
    import ast  # most programs never ask

    spec = import_module(package).__spec__
    loader = None if spec is None else spec.loader  # inspect would ask for names, without end
    read = getattr(loader, "get_source", None)  # importlib.abc would be slow to import
    tree = syntax_tree((read and read(package)) or "")
    return {
        alias.name: node.module.removeprefix(f"{package}.")
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.startswith(f"{package}.")
        for alias in node.names
    }


def syntax_tree(source: str | bytes) -> ast.Module:
    """Return the tree of a source, whatever other threads parse meanwhile."""
    import ast

    with PARSING:
        for _ in range(9):
            try:
                return ast.parse(source)
            except SystemError:  # somebody parses who does not know this lock
                continue
        return ast.parse(source)
