"""Fields of a JSON body: each read with its type, null as if it were not there."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from crossrank_serve.problems import RequestError, invalid


def read_json(data: bytes) -> dict[str, Any]:
    """Return the object that a body holds.

    Raises
    ------
    RequestError
        400 for what is no JSON object in UTF-8.
    """
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise RequestError(400, "the body is not UTF-8; send JSON in UTF-8") from None
    except RecursionError:
        raise RequestError(400, "the body is nested too deeply; send a flat JSON object") from None
    except ValueError as error:
        raise RequestError(400, f"the body is no JSON: {error}; send a JSON object") from None
    if not isinstance(value, dict):
        raise RequestError(400, f"the body is a JSON {kind(value)}; send an object")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def kind(value: Any) -> str:
    """Return what JSON calls a value's type."""
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    return "null" if value is None else names.get(type(value), "object")


def text(name: str, value: Any) -> str:
    """Return a string that is valid Unicode and not blank."""
    if not isinstance(value, str):
        raise invalid(f"{name} is a {kind(value)}; send a string")
    if not value.strip():
        raise invalid(f"{name} is empty; leave it out or write something")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise invalid(f"{name} is not valid Unicode (a lone surrogate); mend the text") from None
    return value


def optional_text(body: Mapping[str, Any], name: str) -> str | None:
    """Return a string, None where it does not stand."""
    value = body.get(name)
    return None if value is None else text(name, value)


def flag(body: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """Return a boolean."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise invalid(f"{name} is a {kind(value)}; send true or false")
    return value


def count(body: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number from 1."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(f"{name} is {shown(value)}; send a whole number from 1")
    if value < 1:
        raise invalid(f"{name} is {value}; send a whole number from 1, or leave it out for all")
    return value


def number(name: str, value: Any) -> float:
    """Return a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"{name} is a {kind(value)}; send a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise invalid(f"{name} is not finite; send a finite number")
    return found


def optional_number(body: Mapping[str, Any], name: str) -> float | None:
    """Return a finite number, None where it does not stand."""
    value = body.get(name)
    return None if value is None else number(name, value)


def numbers(body: Mapping[str, Any], name: str, length: int) -> tuple[float, ...] | None:
    """Return one finite number per document, None where the field does not stand."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != length:
        many = f"{len(value)} values" if isinstance(value, list) else f"a {kind(value)}"
        raise invalid(f"{name} is {many} for {length} documents; send one number for each")
    return tuple(number(f"{name}[{place}]", each) for place, each in enumerate(value))


def array(name: str, value: Any) -> Sequence[Any]:
    """Return an array that is not empty."""
    if value is None:
        raise invalid(f"{name} is missing; send an array")
    if not isinstance(value, list):
        raise invalid(f"{name} is a {kind(value)}; send an array")
    if not value:
        raise invalid(f"{name} is empty; send at least one")
    return value


def shown(value: Any) -> str:
    """Return a value for a message, cut short."""
    said = json.dumps(value, ensure_ascii=True, default=str)
    return said if len(said) <= 40 else f"{said[:37]}…"
