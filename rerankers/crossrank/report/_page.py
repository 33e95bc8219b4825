"""The frame of every page: one template that others extend, and how numbers are written."""

from __future__ import annotations

import importlib.util
from functools import partial
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
    environment.filters |= {
        "percent": lambda part: f"{100 * part:.2f}%",
        "plain": _figure,
        "short": partial(_figure, digits=3, kind="g"),
        "signed": partial(_figure, sign="+"),
    }
    return environment.get_template(name)


def _figure(value: float, digits: int = 2, *, sign: str = "", kind: str = "f") -> str:
    """Write a number with a minus sign, which a hyphen is too short for beside figures."""
    return f"{value:{sign}.{digits}{kind}}".replace("-", "−")
