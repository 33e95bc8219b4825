"""Items that cannot be encoded, left out and listed in place of ending the work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crossrank._files.atomic import atomic_file
from crossrank._files.json_lines import json_line
from crossrank._items.images import open_image
from crossrank._items.item import Item
from crossrank._text import is_blank
from crossrank.errors import CrossrankError

Skipped = tuple[str, str]


def sound_items(items: Sequence[Item], modality: str) -> tuple[list[Item], list[Skipped]]:
    """Return the items of one modality that can be encoded, and id and reason of every other.

    Pictures are decoded to know it, one after the other.
    """
    sound, skipped = [], []
    for item in items:
        reason = _fault(item, modality)
        if reason is None:
            sound.append(item)
        else:
            skipped.append((str(item.id), reason))
    return sound, skipped


def write_skipped(path: Path, skipped: Sequence[Skipped]) -> None:
    """Write a line ``{"id": …, "reason": …}`` for each; without any, the file is not made."""
    if skipped:
        with atomic_file(path) as file:
            file.writelines(json_line({"id": id, "reason": reason}) for id, reason in skipped)
    else:
        path.unlink(missing_ok=True)


def _fault(item: Item, modality: str) -> str | None:
    if "text" in modality and (item.text is None or is_blank(item.text)):
        return "no text, or an empty one"
    if "image" not in modality:
        return None
    if item.image is None:
        return "no image"
    try:
        open_image(item.image)
    except CrossrankError as error:
        return str(error)
    return None
