"""Optional packages: a look at one that another thread may be importing, and the import of one.

A package's ``__init__.py`` gives its names without importing what they stand on::

    if TYPE_CHECKING:
        from mine.reranker import MineReranker

    __getattr__ = lazy_names(__name__, guard=needs("mine", "mine", "torch", "transformers"))
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib import import_module
from types import ModuleType
from typing import Any

from crossrank._own_names import own_names
from crossrank.errors import MissingPackageError, missing_package

REPORTING = {
    "onnxruntime": {"ORT_DISABLE_TELEMETRY": "1"},
    "ray": {"RAY_USAGE_STATS_ENABLED": "0"},
}
"""Packages that tell their makers who uses them, and by which variables they do not.

onnxruntime since 1.32, for one, keeps an id in the user's cache folder and sends what it sees from
a thread of its own.  Who has set a variable differently keeps it.
"""
_BROKEN: dict[str, BaseException] = {}
"""How the first import of a package failed that is installed."""


def loaded(name: str) -> ModuleType | None:
    """Return a module if it has been imported whole, else None; never import it, never wait.

    A module stands in ``sys.modules`` from the moment its import begins, without most of its
    names, and other threads see it there: look at no module but through this.

    Parameters
    ----------
    name
        The full name of the module.
    """
    module = sys.modules.get(name)
    # importlib's own mark, by which an import statement of another thread knows that it must wait
    if getattr(getattr(module, "__spec__", None), "_initializing", False):
        return None
    return module


def required(name: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional package, or say how to bring it; wait if another thread is importing it.

    One that would report its use to its maker is told not to, see `REPORTING`.

    Parameters
    ----------
    name
        The import name.
    extra
        The extra of ``crossrank`` that installs it.
    purpose
        What needs it, as the start of a sentence ("the lite encoder").

    Raises
    ------
    MissingPackageError
        If it is not installed, or is and cannot be imported.
    """
    module = loaded(name)
    if module is not None:
        return module
    for variable, value in REPORTING.get(name.partition(".")[0], {}).items():
        os.environ.setdefault(variable, value)
    if name not in _BROKEN:
        try:
            return import_module(name)
        except Exception as error:  # a library that is not found is an OSError, and so on
            root = name.partition(".")[0]
            if isinstance(error, ModuleNotFoundError) and error.name in (name, root):
                raise missing_package(root, extra, purpose) from error
            # Whoever tries again, as each thread that waited does, is told something else: some
            # libraries cannot be loaded twice.  Only the first error says what is wrong.
            _BROKEN.setdefault(name, error)
    first = _BROKEN[name]
    said = str(first).strip().partition("\n")[0]
    raise MissingPackageError(
        f"{purpose} needs the package {name!r}, which is installed but cannot be imported "
        f"({type(first).__name__}: {said}); install it again: "
        f'pip install --force-reinstall "crossrank[{extra}]"'
    ) from first


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of distributions, of those that are installed; none is imported."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def needs(purpose: str, extra: str, *packages: str) -> Callable[[], AbstractContextManager[None]]:
    """Return a guard: within ``with guard():`` a missing package says how to install it.

    Parameters
    ----------
    purpose, extra
        See `required`.
    *packages
        Import names of those that the extra brings.  Any other import error is a mistake in the
        code, not in the installation, and stays as it is.
    """
    roots = {package.partition(".")[0] for package in packages}

    @contextmanager
    def guard() -> Iterator[None]:
        try:
            yield
        except MissingPackageError:
            raise
        except ImportError as error:
            root = (error.name or "").partition(".")[0]
            if root not in roots:
                raise
            raise missing_package(root, extra, purpose) from error

    return guard


def lazy_names(
    module: str,
    homes: Mapping[str, str] | None = None,
    guard: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Callable[[str], Any]:
    """Return a ``__getattr__`` for a package whose names are imported on first use.

    Parameters
    ----------
    module
        The package, ``__name__``.  None of these names may be that of one of its submodules, which
        would take its place as soon as anybody imports it.
    homes
        Per name the submodule that has it; by default as the package's source imports them under
        ``if TYPE_CHECKING``, so that they need not be written twice.
    guard
        See `needs`.
    """
    own = own_names(module, homes)

    def get(name: str) -> Any:
        with guard():
            return own(name)

    return get


__all__ = ["lazy_names", "loaded", "needs", "required", "versions"]
