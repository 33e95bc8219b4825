"""What a text is to who reads it: can it be seen, be written, be shown in a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence

UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
"""Categories of what is not seen: controls, formats, separators."""
STEERING = frozenset({"Cc", "Cf", "Zl", "Zp"})
"""Of what a terminal would obey instead of showing it."""


def is_blank(text: str) -> bool:
    """Tell whether nothing in a text would be seen: white space, U+200B and its like."""
    return all(unicodedata.category(sign) in UNSEEN for sign in text)


def is_unicode(text: str) -> bool:
    """Tell whether a text can be written as UTF-8: it has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(text: str) -> str:
    """Return a text in one line without what would steer a terminal; strangers write anything."""
    if text.isprintable():
        return text
    return "".join(" " if unicodedata.category(sign) in STEERING else sign for sign in text)


def aligned(lines: Iterable[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Return lines of cells as aligned columns, those that `right` numbers to the right."""
    cells = [[shown(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]
