"""What notebooks show: tables and thumbnails in HTML; whatever an id or a text holds is text."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any

from crossrank._items.provenance import may_show
from crossrank.errors import CrossrankError

THUMBNAIL = 96
"""Pixels of the longer side of a picture in a table."""
MOST_TEXT = 200
"""Characters of a text in a table."""
STYLE = "text-align:left;padding:2px 8px;vertical-align:top"


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def thumbnail(picture: Any, longest: int = THUMBNAIL) -> Markup:
    """Return a picture as a small JPEG inside the page; nothing where it may not be shown or read.

    It is anything that `crossrank.open_image` reads, and is made no larger.
    """
    # to show nothing, and to be imported, needs no Pillow
    from PIL import Image

    from crossrank._items.images import open_image

    if not may_show(picture):
        return Markup("")
    try:
        image = open_image(picture)
    except (CrossrankError, OSError, ValueError):
        return Markup("")
    image.thumbnail((longest, longest), Image.Resampling.BILINEAR)
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=75)
    content = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Markup(
        f'<img src="data:image/jpeg;base64,{content}" width="{image.width}" '
        f'height="{image.height}" alt="">'
    )


def table(
    title: str, head: Sequence[object], rows: Iterable[Sequence[object]], more: str = ""
) -> str:
    """Return a table in HTML, with `more` below it; every cell that is no `Markup` is escaped."""
    body = "".join(_row("td", cells) for cells in rows)
    below = f"<p>{escaped(more)}</p>" if more else ""
    caption = f'<caption style="{STYLE}">{escaped(title)}</caption>'
    return f"<table>{caption}{_row('th', head)}{body}</table>{below}"


def escaped(value: object) -> str:
    """Return what a cell shows, shortened where it is long."""
    if isinstance(value, Markup):
        return value
    text = str(value)
    import html

    return html.escape(text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 1]}…")


def left_out(shown: int, count: int, what: str) -> str:
    """Say how many of something are not shown; nothing where all are."""
    return f"… {count - shown:,} more {what}" if count > shown else ""


def _row(cell: str, values: Iterable[object]) -> str:
    cells = "".join(f'<{cell} style="{STYLE}">{escaped(value)}</{cell}>' for value in values)
    return f"<tr>{cells}</tr>"
