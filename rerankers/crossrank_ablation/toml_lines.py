"""Where a key stands in a TOML text, since `tomllib` does not tell."""

from __future__ import annotations

import re
from collections.abc import Sequence

_KEY = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_PATH = re.compile(rf"\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*=")
_HEADER = re.compile(rf"\s*\[\[?\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*\]\]?")


def line_of(text: str, path: Sequence[str]) -> int | None:
    """Return the line, from 1, that sets a key; the last one that mentions it in a table inline.

    The path is the key with the tables around it, such as ``("stages", "filip", "deph")``.
    """
    table: tuple[str, ...] = ()
    best: tuple[int, int] | None = None
    wanted = tuple(path)
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        here: tuple[str, ...]
        if header:
            table = here = _split(header[1])
        else:
            key = _PATH.match(line)
            here = (*table, *_split(key[1])) if key else table
        shared = _shared(here, wanted)
        inline = shared < len(wanted) and re.search(rf"(?<![\w-]){re.escape(wanted[-1])}\b", line)
        score = 2 * shared + bool(inline and shared == min(len(here), len(wanted)))
        if shared == len(wanted) and len(here) >= shared:
            return number
        if shared and inline and (best is None or score > best[0]):
            best = (score, number)
    return None if best is None else best[1]


def _split(path: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_KEY, path))


def _shared(left: Sequence[str], right: Sequence[str]) -> int:
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count
