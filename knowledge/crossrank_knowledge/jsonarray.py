"""Reading a large JSON array element by element."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

CHUNK = 1 << 20
GIVE_UP = 1 << 20
"""So many characters after a defect it is no longer taken for an incomplete element."""


class BrokenArrayError(ValueError):
    """Where an array cannot be read on.

    Parameters
    ----------
    reason
        What is wrong.
    element
        The number of the element, from 0.
    text
        The beginning of its text.
    """

    def __init__(self, reason: str, element: int, text: str) -> None:
        super().__init__(reason)
        self.element = element
        self.text = text


def stream_array(path: Path, chunk: int = CHUNK) -> Iterator[Any]:
    """Yield the elements of a JSON array without holding the file in memory.

    Raises
    ------
    BrokenArrayError
        If the file is no array, or breaks off, or an element is not JSON.
    """
    decoder = json.JSONDecoder()
    with path.open(encoding="utf-8") as file:
        text, element = _at_next("", file, chunk), 0
        if not text.startswith("["):
            raise BrokenArrayError("it does not start with '['", 0, text[:200])
        text = _at_next(text[1:], file, chunk)
        while not text.startswith("]"):
            value, text = _decoded(decoder, text, file, element, chunk)
            yield value
            element += 1
            text = _at_next(text, file, chunk)
            if text.startswith(","):
                text = _at_next(text[1:], file, chunk)
            elif not text.startswith("]"):
                reason = "',' or ']' is missing after an element"
                raise BrokenArrayError(reason, element, text[:GIVE_UP])


def _at_next(text: str, file: TextIO, chunk: int) -> str:
    """Drop white space, reading on where nothing else is left."""
    text = text.lstrip()
    while not text and (more := file.read(chunk)):
        text = more.lstrip()
    return text


def _decoded(
    decoder: json.JSONDecoder, text: str, file: TextIO, element: int, chunk: int
) -> tuple[Any, str]:
    """Decode one element, reading on as far as needed, and return it with the rest."""
    while True:
        try:
            value, end = decoder.raw_decode(text)
        except json.JSONDecodeError as error:
            more = file.read(chunk)
            # what is merely incomplete fails at the end of the text, or at the string it is in
            if not more or len(text) - error.pos > GIVE_UP:
                raise BrokenArrayError(error.msg, element, text[:GIVE_UP]) from error
            text += more
            continue
        # a number at the very end may go on
        if end < len(text) or not (more := file.read(chunk)):
            return value, text[end:]
        text += more
