"""Other valid values for a plugin's parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from crossrank.errors import CrossrankError


def variations(plugin: Any, params: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield for each parameter that can be varied blindly its name and a set with another value.

    Booleans are flipped, numbers moved, and of a ``Literal`` another member is taken; a value that
    the plugin refuses is passed over, and so are texts and objects.
    """
    hints = get_type_hints(plugin.Parameters)
    present = plugin(**params).params
    for field in dataclasses.fields(plugin.Parameters):
        own = getattr(present, field.name)
        for value in _others(own, hints[field.name]):
            if value == own:  # 0.0, halved
                continue
            changed = {**params, field.name: value}
            try:
                plugin(**changed)
            except CrossrankError:
                continue
            yield field.name, changed
            break


def _others(value: Any, hint: Any) -> list[Any]:
    if get_origin(hint) is Literal:
        return [member for member in get_args(hint) if member != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, value * 2]
    if isinstance(value, float):
        return [value * 0.5, value + 0.25, value - 0.25]
    return []
