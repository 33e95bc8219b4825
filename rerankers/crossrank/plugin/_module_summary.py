"""What a module says of itself; it is not imported for that, nor is its package."""

from __future__ import annotations

import ast
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from crossrank._own_names import syntax_tree
from crossrank.plugin.optional import loaded


def module_summary(module: str) -> str:
    """Return the first line of a module's docstring; empty where that cannot be read."""
    there = loaded(module)  # reading it again would take longer than all else
    if there is not None and there.__doc__ and getattr(there, "__file__", "").endswith(".py"):
        return there.__doc__.strip().splitlines()[0]
    try:
        spec = _spec(module)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            return ""
        said = ast.get_docstring(syntax_tree(Path(spec.origin).read_bytes()))
    except Exception:  # whatever is wrong with it, using it will say so
        return ""
    return said.splitlines()[0] if said else ""


def _spec(module: str) -> ModuleSpec | None:
    """Find a module as an import would; `importlib.util.find_spec` imports the packages above."""
    spec, places, name = None, None, ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, places)
        if spec is None:
            return None
        places = spec.submodule_search_locations
    return spec
