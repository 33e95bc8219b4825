"""The standard features of `crossrank._items.collection`, as something that can be tested."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Form:
    """What a feature looks like.

    It is an ``"array"``, ``"ragged"``, ``"lists"`` (per item a list) or ``"text"`` (per item a
    str); `row` is the shape after the axis of items or of parts, None for any size.
    """

    kind: str
    row: tuple[int | None, ...] = ()
    unit: bool = False
    integer: bool = False


STANDARD = {
    "embedding": Form("array", (None,), unit=True),
    "tokens": Form("ragged", (None,), unit=True),
    "token_text": Form("lists"),
    "token_boxes": Form("ragged", (4,)),
    "token_roles": Form("ragged", (), integer=True),
    "regions": Form("ragged", (None,)),
    "boxes": Form("ragged", (4,)),
    "labels": Form("lists"),
    "box_scores": Form("ragged", ()),
    "words": Form("ragged", (None,)),
    "concepts": Form("lists"),
    "size": Form("array", (2,), integer=True),
    "text": Form("text"),
    "path": Form("text"),
}

BOXES = ("boxes", "token_boxes")
"""Features of ``x0, y0, x1, y1`` in [0, 1]."""

PARTNERS = (
    ("tokens", "token_text"),
    ("tokens", "token_boxes"),
    ("tokens", "token_roles"),
    ("regions", "boxes"),
    ("boxes", "labels"),
    ("boxes", "box_scores"),
)
"""Features that describe the same parts of an item, one by one."""
