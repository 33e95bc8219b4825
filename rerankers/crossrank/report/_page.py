"""The frame of every page: one template that others extend, and how numbers are written."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from crossrank.errors import missing_package
from crossrank.report._heat import gradient

if TYPE_CHECKING:
    from jinja2 import Template


def check_jinja(extra: str, purpose: str) -> None:
    """Refuse to start without the package that fills in templates.

    Parameters
    ----------
    extra
        The extra of ``crossrank`` that brings it.
    purpose
        What cannot be written without it.

    Raises
    ------
    MissingPackageError
        If Jinja2 is not installed.
    """
    if importlib.util.find_spec("jinja2") is None:
        raise missing_package("jinja2", extra=extra, purpose=purpose)


def page_template(package: str, name: str, *, extra: str, purpose: str) -> Template:
    """Return a template of a package, which may extend ``frame.html`` and use ``parts.html``.

    Every text that it is filled with is escaped, and a name that is not given is an error.

    Parameters
    ----------
    package
        Its folder ``templates`` is searched first, ours next.
    name
        Of the template.
    extra, purpose
        See `check_jinja`.

    Raises
    ------
    MissingPackageError
        If Jinja2 is not installed.
    """
    check_jinja(extra, purpose)
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("crossrank.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["gradient"] = gradient()
    environment.filters["percent"] = _percent
    environment.filters["plain"] = _plain
    environment.filters["short"] = _short
    environment.filters["signed"] = _signed
    return environment.get_template(name)


def _percent(part: float) -> str:
    return f"{100 * part:.2f}%"


def _plain(value: float, digits: int = 2) -> str:
    return _with_minus(f"{value:.{digits}f}")


def _short(value: float) -> str:
    return _with_minus(f"{value:.3g}")


def _signed(value: float, digits: int = 2) -> str:
    return _with_minus(f"{value:+.{digits}f}")


def _with_minus(number: str) -> str:
    """Write a minus sign, which a hyphen is too short for beside figures."""
    return number.replace("-", "−")
