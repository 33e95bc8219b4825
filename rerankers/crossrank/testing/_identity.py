"""What rerankers and encoders have in common: a name, a summary, parameters, a fingerprint."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from typing import Any, Protocol

from crossrank.errors import CrossrankError
from crossrank.testing._check import require

UNKNOWN = "no_such_parameter"


def require_plugin_class(plugin: Any, base: type, info_type: type) -> Any:
    """Return the ``info`` of a class; refuse what the registry would, and what is missing."""
    require(
        isinstance(plugin, type) and issubclass(plugin, base),
        f"{plugin!r} is not a subclass of crossrank.{base.__name__}",
    )
    missing = sorted(getattr(plugin, "__abstractmethods__", ()))
    require(not missing, f"it does not define {', '.join(missing)}()")
    info = getattr(plugin, "info", None)
    require(
        isinstance(info, info_type),
        f"info is {info!r}; set the class attribute to a crossrank.{info_type.__name__}(...)",
    )
    for name in ("name", "summary", "paper", "extra"):
        value = getattr(info, name)
        require(isinstance(value, str), f"info.{name} is {value!r:.80}; give a str")
        require("\n" not in value, f"info.{name} has several lines; `crossrank plugins` shows one")
    name = getattr(info, "name", "")
    require(
        re.fullmatch(r"[\w.-]+", name) is not None,
        f"info.name is {name!r}; use letters, digits, '-', '_' and '.', as in a stage's name",
    )
    require(bool(getattr(info, "summary", "").strip()), "info.summary is empty; say what it does")
    return info


def require_names(names: Any, where: str) -> None:
    """Refuse anything but a tuple of names."""
    require(
        isinstance(names, tuple) and all(isinstance(name, str) for name in names),
        f"{where} is {names!r:.80}; give a tuple of str",
    )


class Case(Protocol):
    """What the checks of both have in common."""

    @property
    def kind(self) -> type[Any]:
        """The class under test."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Its parameters."""


def parameters_are_a_frozen_dataclass(case: Case) -> None:
    """Expect ``Parameters`` that cannot change under a running plugin."""
    parameters = case.kind.Parameters
    require(
        dataclasses.is_dataclass(parameters) and inspect.isclass(parameters),
        f"Parameters is {parameters!r}; make it a dataclass",
    )
    require(
        parameters.__dataclass_params__.frozen,
        f"{parameters.__name__} can be changed after it was validated; make it "
        "@dataclass(frozen=True)",
    )


def unknown_parameters_are_refused(case: Case) -> None:
    """Expect an error that names a misspelt parameter."""
    try:
        case.kind(**case.params, **{UNKNOWN: 1})
    except CrossrankError as error:
        require(UNKNOWN in str(error), f"it refused {UNKNOWN}=1 without naming it: {error}")
    except TypeError as error:
        raise AssertionError(
            f"it refused {UNKNOWN}=1 by a TypeError; raise crossrank.errors.ParameterError, as "
            "the base class does: let it build self.params"
        ) from error
    else:
        raise AssertionError(
            f"it accepts {UNKNOWN}=1; refuse what it does not know, or a misspelt parameter is "
            "silently without effect"
        )


OF_BOTH = (parameters_are_a_frozen_dataclass, unknown_parameters_are_refused)


def require_stable_fingerprint(used: Any, fresh: Any) -> None:
    """Refuse a fingerprint that changes with use or from object to object."""
    first, second, again = used.fingerprint(), fresh.fingerprint(), used.fingerprint()
    require(
        isinstance(first, str) and bool(first), f"fingerprint() returned {first!r}; return a str"
    )
    require(first == again, "fingerprint() differs between two calls on one object")
    require(
        first == second,
        "two objects of the same parameters have different fingerprints; derive it from the "
        "parameters alone (see crossrank._items.fingerprint), never from id() or hash()",
    )
