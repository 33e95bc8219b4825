"""A plugin manager that takes only functions for hooks, and asks nothing else."""

from __future__ import annotations

from types import FunctionType, MethodType, ModuleType
from typing import Any

import pluggy

FUNCTIONS = (FunctionType, MethodType, staticmethod, classmethod)


class Manager(pluggy.PluginManager):
    """Finds the hooks that pluggy finds, which looks closely at every name of a module."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        """Return the options of a hook, None for what is none."""
        return super().parse_hookimpl_opts(plugin, name) if _may_be(plugin, name) else None

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> Any:
        """Return the options of a hook's specification, None for what is none."""
        found = _may_be(module_or_class, name)
        return super().parse_hookspec_opts(module_or_class, name) if found else None


def _may_be(plugin: Any, name: str) -> bool:
    return not isinstance(plugin, ModuleType) or isinstance(vars(plugin).get(name), FUNCTIONS)
