"""The PyPI packages that the encoder stands on, imported when they are first needed."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from crossrank.errors import missing_package


def require(package: str) -> ModuleType:
    """Import a package of the extra ``lite``.

    Parameters
    ----------
    package
        Its import name.

    Raises
    ------
    MissingPackageError
        If it is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] != package.partition(".")[0]:
            raise
        raise missing_package(package, "lite", "the lite encoder") from error
