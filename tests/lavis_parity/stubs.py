"""Let the model classes of LAVIS be imported without what only its data sets and training need."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ABSENT = ("torchvision", "pandas", "fairscale", "iopath", "omegaconf")
"""Packages that are imported at the top of modules, but not used by the classes under test."""

BARE = ("lavis", "lavis.models", "lavis.models.blip2_models")
"""Packages of LAVIS whose ``__init__`` would import every model and data set there is."""


class _Stub(types.ModuleType):
    """A module in which every name is there, and is an empty class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _StubFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in ABSENT:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Stub(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__path__ = []


def install() -> None:
    """Put the stubs in place; call it before the first import from LAVIS."""
    sys.meta_path.insert(0, _StubFinder())
    spec = importlib.util.find_spec("lavis")
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit("salesforce-lavis is not installed; run `make test-lavis`")
    root = Path(spec.submodule_search_locations[0])
    for name in BARE:
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    models: Any = sys.modules["lavis.models"]
    models.BaseModel = importlib.import_module("lavis.models.base_model").BaseModel
