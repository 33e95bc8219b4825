"""Checks of a plugin's parameters: values that compose, and one message for all of them.

`check` in ``__post_init__`` says for each parameter what it may be::

    def __post_init__(self) -> None:
        check("mine", self, mode=one_of("mean", "sum"), weight=positive, most=integer(1) | none)
"""

from crossrank._checking import (
    Check,
    at_least,
    between,
    boolean,
    check,
    checked,
    each,
    finite,
    float_type,
    inside,
    instance_of,
    integer,
    methods,
    none,
    one_of,
    path,
    positive,
    text,
)

__all__ = [
    "Check",
    "at_least",
    "between",
    "boolean",
    "check",
    "checked",
    "each",
    "finite",
    "float_type",
    "inside",
    "instance_of",
    "integer",
    "methods",
    "none",
    "one_of",
    "path",
    "positive",
    "text",
]
