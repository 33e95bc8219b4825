"""What commands write to standard output: JSON for programs, tables for people."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import click

from crossrank._items.feature import json_like
from crossrank._text import aligned


def write_json(value: Any) -> None:
    """Write one JSON document; numpy numbers as plain ones, what is not finite as null."""
    click.echo(json.dumps(plain(value), ensure_ascii=False, indent=1, allow_nan=False))


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    return _finite(json_like(value))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return aligned columns.

    Parameters
    ----------
    header, rows
        Texts; what would steer a terminal is left out.
    right
        The columns that hold numbers, aligned to the right.
    """
    return "\n".join(aligned((header, *rows), right))
