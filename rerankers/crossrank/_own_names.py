"""Names that a package has from its own modules, each imported when it is first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.abc import InspectLoader
from typing import Any


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
    source = loader.get_source(package) if isinstance(loader, InspectLoader) else None
    tree = ast.parse("" if source is None else source)
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
