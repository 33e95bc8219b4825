"""``{encoder}`` and ``{root}`` in the texts of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossrank.errors import InputError


def filled(text: str, folders: Mapping[str, str | None]) -> str:
    """Return a text with ``{name}`` replaced by a value; one that has none is refused."""
    for name, value in folders.items():
        if f"{{{name}}}" in text:
            if value is None:
                raise InputError(
                    f'ablate: {text!r} names {{{name}}}, but [grid] has no {name} = ["…"]'
                )
            text = text.replace(f"{{{name}}}", value)
    return text


def filled_in(value: Any, folders: Mapping[str, str | None]) -> Any:
    """Return a value with every text in it filled, see `filled`."""
    if isinstance(value, str):
        return filled(value, folders)
    if isinstance(value, list):
        return [filled_in(member, folders) for member in value]
    return value
