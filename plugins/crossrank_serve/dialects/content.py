"""The forms in which clients send a text, a picture, or both.

======================================================= ============================================
``"words"``                                             a text; an image data URI is that picture
``{"text": …}``, ``{"image": …}``, both                 Jina; the picture a data URI, base64 or URL
``{"type": "text" | "image_url" | "image" | …}``        a content part of OpenAI, vLLM, Voyage
``[part, …]``                                           SGLang, parts of one query or document
``{"content": [part, …]}``                              vLLM, Voyage
======================================================= ============================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossrank_serve.fields import kind, text
from crossrank_serve.problems import invalid
from crossrank_serve.records import Content, Part

PICTURE_FIELDS = ("image_url", "image", "image_base64", "input_image")
"""Where content parts of the dialects carry a picture; each is a type of part too."""

MOST_PARTS = 64
"""Of one query or document."""


def read_content(name: str, value: Any, fields: Sequence[str] = ()) -> Content:
    """Return the parts of a query or document.

    Parameters
    ----------
    name
        What to call it in an error.
    value
        In one of the forms above.
    fields
        Names whose values make up the text of any other object (Cohere's ``rank_fields``).

    Raises
    ------
    RequestError
        422 for anything else.
    """
    if isinstance(value, str):
        return (_of_string(name, value),)
    if isinstance(value, dict) and isinstance(value.get("content"), list):
        return _of_parts(f"{name}.content", value["content"])
    if isinstance(value, dict) and isinstance(value.get("content"), str):
        return (_of_string(f"{name}.content", value["content"]),)
    if isinstance(value, dict):
        return _of_object(name, value, fields)
    if isinstance(value, list):
        return _of_parts(name, value)
    raise invalid(
        f"{name} is a {kind(value)}; send a string, an object with text or image, or content parts"
    )


def read_contents(name: str, value: Any) -> tuple[Content, ...]:
    """Return several, from a single one, an array, or vLLM's object whose parts are one each."""
    if isinstance(value, dict) and isinstance(value.get("content"), list):
        parts = _of_parts(f"{name}.content", value["content"], most=None)
        return tuple((part,) for part in parts)
    if isinstance(value, list):
        if not value:
            raise invalid(f"{name} is empty; send at least one")
        return tuple(read_content(f"{name}[{n}]", each) for n, each in enumerate(value))
    return (read_content(name, value),)


def _of_string(name: str, value: str) -> Part:
    if value[:11].lower() == "data:image/":
        return Part(picture=value)
    return Part(text(name, value))


def _of_parts(name: str, values: list[Any], most: int | None = MOST_PARTS) -> Content:
    if not values:
        raise invalid(f"{name} is empty; send at least one part")
    if most is not None and len(values) > most:
        raise invalid(f"{name} has {len(values)} parts; send at most {most}")
    parts: list[Part] = []
    for place, value in enumerate(values):
        where = f"{name}[{place}]"
        if isinstance(value, str):
            parts.append(_of_string(where, value))
        elif isinstance(value, dict):
            parts += _of_object(where, value, ())
        else:
            raise invalid(f"{where} is a {kind(value)}; send a content part")
    return tuple(parts)


def _of_object(name: str, value: dict[str, Any], fields: Sequence[str]) -> Content:
    parts = []
    if value.get("text") is not None and not fields:
        parts.append(Part(text(f"{name}.text", value["text"])))
    for field in PICTURE_FIELDS:
        if value.get(field) is not None:
            parts.append(Part(picture=_reference(f"{name}.{field}", value[field])))
    said = [f"{field}: {value[field]}" for field in fields if value.get(field) is not None]
    if said:
        parts.insert(0, Part(text(name, "\n".join(said))))
    if not parts:
        raise invalid(f"{name} has neither text nor image; send one of them, or both")
    return tuple(parts)


def _reference(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return _reference(f"{name}.url", value.get("url"))
    if not isinstance(value, str) or not value.strip():
        raise invalid(f"{name} is no picture; send a data URI, base64, or an URL")
    return value
