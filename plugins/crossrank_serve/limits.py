"""What one request may ask for, and the server in all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from crossrank.errors import ParameterError, nearest
from crossrank.plugin.parameters import check, integer, positive

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds; what goes beyond is answered with 413, 408, 429 or 504 before it costs anything.

    Parameters
    ----------
    body_bytes
        Of a request.
    body_seconds
        Until a request's body has come.
    documents
        Per request.
    text_characters
        Of a query or document.
    picture_bytes
        Of one picture, as a file.
    pixels
        Of one picture.
    waiting
        Requests that wait or are scored; the next one gets 429.
    deadline
        Seconds until a request is answered, with what is ready or with 504.
    feature_bytes
        What encoded items may take that are kept for later requests.
    connections
        Open at once; the next one gets 503.
    """

    body_bytes: int = 64 * MEBIBYTE
    body_seconds: float = 20.0
    documents: int = 2048
    text_characters: int = 100_000
    picture_bytes: int = 20 * MEBIBYTE
    pixels: int = 50_000_000
    waiting: int = 256
    deadline: float = 60.0
    feature_bytes: int = 256 * MEBIBYTE
    connections: int = 2000

    def __post_init__(self) -> None:
        check(
            "serve",
            self,
            body_bytes=integer(1),
            body_seconds=positive,
            documents=integer(1),
            text_characters=integer(1),
            picture_bytes=integer(1),
            pixels=integer(1),
            waiting=integer(1),
            deadline=positive,
            feature_bytes=integer(0),
            connections=integer(1),
        )


def read_limits(texts: Sequence[str]) -> Limits:
    """Return the limits that ``NAME=NUMBER`` says."""
    known = {each.name: float if each.type == "float" else int for each in fields(Limits)}
    values: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.partition("=")
        if name not in known or not equals:
            raise ParameterError(f"serve: --limit {text!r} is no NAME=NUMBER{nearest(name, known)}")
        try:
            values[name] = known[name](number.replace("_", ""))
        except ValueError:
            raise ParameterError(
                f"serve: --limit {text!r} has no number; write {name}=10"
            ) from None
    return Limits(**values)  # type: ignore[arg-type]
