"""Values on the command line, typed as in TOML; a word without quotes is a string."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crossrank._files.parsing import parse_toml
from crossrank.errors import ParameterError


def read_value(text: str, where: str) -> Any:
    """Return what a text stands for: ``0.5``, ``true``, ``[1, 2]``, ``"a, b"`` or a bare word.

    What opens and does not close, nothing, and Python's ``True`` for TOML's ``true`` are refused;
    `where` begins the message.
    """
    text = text.strip()
    found, value = toml_value(text)
    if found:
        return value
    if not text:
        raise ParameterError(f'{where} has no value; write "" for an empty text')
    if text[0] in OPENING:
        raise ParameterError(f"{where} is {text}, which opens with {text[0]} but is no TOML value")
    if text.lower() in ("true", "false"):
        raise ParameterError(f"{where} is {text}; write {text.lower()}")
    return text


def toml_value(text: str) -> tuple[bool, Any]:
    """Return whether a text is exactly one TOML value, and the value."""
    parsed = _toml(f"v = [{text}]")
    # where the text alone closes the array, a comment has swallowed our bracket
    if parsed is None or len(parsed) != 1 or len(parsed["v"]) != 1 or _toml(f"v = [{text}"):
        return False, None
    return True, parsed["v"][0]


def read_parameters(pairs: Iterable[str], where: str) -> dict[str, Any]:
    """Read ``KEY=VALUE`` texts.

    Raises
    ------
    ParameterError
        If one has no key, or a key stands twice.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, text = split_key(pair, where)
        add(values, key, read_value(text, f"{where}: {key}"), where)
    return values


def split_key(text: str, where: str) -> tuple[str, str]:
    """Split a text at its first ``=`` and check the key."""
    key, equals, rest = text.partition("=")
    key = key.strip()
    if not equals or not key.isidentifier():
        raise ParameterError(f"{where}: {text!r} is not KEY=VALUE with a name as the key")
    return key, rest


def add(values: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Add a value under a key that must be new."""
    if key in values:
        raise ParameterError(f"{where} gives {key} twice")
    values[key] = value


OPENING = tuple("\"'[{")


def _toml(text: str) -> dict[str, Any] | None:
    try:
        return parse_toml(text)
    except ValueError:
        return None
