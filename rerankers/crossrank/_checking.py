"""Checks of parameters, as values that compose: ``integer(1) | none``.

A check knows what it accepts and what one should give instead, so that a message needs neither be
written nor tested again in every plugin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from crossrank.errors import InputError, ParameterError, nearest


@dataclass(frozen=True, slots=True)
class Check:
    """What a parameter may be.

    Parameters
    ----------
    accepts
        Whether a value will do.  It must not raise, whatever it is given.
    give
        What to give instead, as it stands after "give": ``"a finite number"``.
    choices
        The values to choose from, if there are some: a message names the nearest of them.

    Examples
    --------
    >>> even = Check(lambda value: isinstance(value, int) and value % 2 == 0, "an even integer")
    >>> (even | none).give
    'an even integer, or None'
    """

    accepts: Callable[[Any], bool]
    give: str
    choices: tuple[Any, ...] = ()

    def __or__(self, other: Check) -> Check:
        """Accept what either accepts."""
        return Check(
            lambda value: self.accepts(value) or other.accepts(value),
            f"{self.give}, or {other.give}",
            self.choices + other.choices,
        )

    def __and__(self, other: Check) -> Check:
        """Accept what both accept; the second is asked only where the first is content."""
        return Check(
            lambda value: self.accepts(value) and other.accepts(value),
            f"{self.give} that is {other.give}",
            tuple(each for each in self.choices if other.accepts(each)),
        )


def check(who: str, parameters: object, /, **checks: Check) -> None:
    """Refuse the first attribute that its check does not accept.

    Parameters
    ----------
    who
        Whose parameters they are, for the message.
    parameters
        The object that has them, such as the dataclass whose ``__post_init__`` calls this.
    **checks
        A check for each attribute, by its name.

    Raises
    ------
    ParameterError
        Naming plugin, parameter, value and what to give.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, slots=True)
    ... class Parameters:
    ...     mode: str = "mean"
    ...     most: int | None = None
    ...
    ...     def __post_init__(self) -> None:
    ...         check("mine", self, mode=one_of("mean", "sum"), most=integer(1) | none)
    >>> Parameters(mode="maen")
    Traceback (most recent call last):
        ...
    crossrank.errors.ParameterError: mine: mode is 'maen'; give one of mean, sum
    """
    for name, of in checks.items():
        checked(who, name, getattr(parameters, name), of)


def checked(who: str, name: str, value: Any, of: Check) -> Any:
    """Return a value that its check accepts; see `check`."""
    if of.accepts(value):
        return value
    raise ParameterError(f"{who}: {name} is {value!r:.80}; give {_instead(value, of)}")


MOST_AT_ONCE = 1 << 16
"""Workers or threads: more cannot be meant."""


def check_count(who: str, name: str, value: int, most: int | None = None) -> int:
    """Return a count as an int, after refusing what is no whole number from 1 (to `most`)."""
    if not _is_integer(value) or value < 1 or (most is not None and value > most):
        bounds = "of at least 1" if most is None else f"from 1 to {most}"
        raise InputError(f"{who}: {name} is {value!r:.80}; give a whole number {bounds}")
    return int(value)


def _instead(value: Any, of: Check) -> str:
    """Return what to give; of many choices the nearest, of few all of them."""
    names = [each for each in of.choices if isinstance(each, str)]
    if len(names) <= 8 or not isinstance(value, str):
        return of.give
    return f"{of.give}{nearest(value, names)}"


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def at_least(least: float) -> Check:
    """Return the check for a finite number of at least `least`."""
    return Check(
        lambda value: _is_number(value) and bool(value >= least),
        f"a finite number of at least {least:g}",
    )


def between(low: float, high: float) -> Check:
    """Return the check for a number in ``[low, high]``."""
    return Check(
        lambda value: _is_number(value) and bool(low <= value <= high),
        f"a number from {low:g} to {high:g}",
    )


def inside(low: float, high: float) -> Check:
    """Return the check for a number in ``(low, high)``, without the ends."""
    return Check(
        lambda value: _is_number(value) and bool(low < value < high),
        f"a number between {low:g} and {high:g}, ends excluded",
    )


def integer(least: int | None = None, most: int | None = None) -> Check:
    """Return the check for a whole number, within bounds where they are given; True is none."""
    bounds = ""
    if least is not None:
        bounds = f" of at least {least}"
    if most is not None:
        bounds = f" from {least} to {most}" if least is not None else f" of at most {most}"
    return Check(
        lambda value: (
            _is_integer(value)
            and (least is None or bool(value >= least))
            and (most is None or bool(value <= most))
        ),
        f"an integer{bounds}",
    )


def one_of(*choices: Any) -> Check:
    """Return the check for one of some values, of the same type: 1 is not True, nor 1.0."""

    def accepts(value: Any) -> bool:
        return any(type(value) is type(each) and value == each for each in choices)

    return Check(accepts, f"one of {', '.join(map(str, choices))}", choices)


def instance_of(*kinds: type, give: str) -> Check:
    """Return the check for an object of some classes, or of a runtime-checkable protocol."""
    return Check(lambda value: isinstance(value, kinds), give)


def methods(*names: str) -> Check:
    """Return the check for an object that has some methods."""

    def accepts(value: Any) -> bool:
        return all(callable(getattr(value, name, None)) for name in names)

    return Check(accepts, f"an object with {' and '.join(f'{name}()' for name in names)}")


def each(of: Check, least: int = 0) -> Check:
    """Return the check for a sequence, no str, whose every member another check accepts."""

    def accepts(value: Any) -> bool:
        # an iterator, which is no Collection, would be used up by looking
        if isinstance(value, str | bytes) or not isinstance(value, Collection):
            return False
        if getattr(value, "ndim", 1) == 0:  # also a numpy scalar says that it is one
            return False
        return len(value) >= least and all(of.accepts(member) for member in value)

    some = f" of at least {least}" if least else ""
    return Check(accepts, f"a sequence{some}, each {of.give}", of.choices)


finite = Check(_is_number, "a finite number")
"""A number, neither NaN nor infinite; True is none."""

positive = Check(lambda value: _is_number(value) and bool(value > 0), "a positive number")
"""A finite number above 0."""

boolean = Check(lambda value: isinstance(value, bool), "true or false")
"""True or False, and not 1 or 0."""

text = Check(lambda value: isinstance(value, str) and bool(value.strip()), "a non-empty str")
"""A str in which something stands."""

path = Check(
    lambda value: isinstance(value, Path) or (isinstance(value, str) and bool(value.strip())),
    "a path",
)
"""A `pathlib.Path`, or a str in which something stands."""

none = Check(lambda value: value is None, "None")
"""None alone: ``finite | none``."""

float_type = one_of("float32", "bfloat16", "float16")
"""The float types in which models compute."""
