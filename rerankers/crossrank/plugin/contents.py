"""What the items of a collection say and show: for plugins that read texts and pictures themselves.

Whatever the direction, a text, a picture or both::

    for content in contents_of("mine", context.gallery, rows):
        content.text, content.path
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from crossrank._items.collection import Collection
from crossrank.errors import InputError, MissingFeatureError

FEATURES = {"text": ("text",), "image": ("path",), "image+text": ("path", "text")}
"""The features of a collection that hold what its items are, by modality."""


@dataclass(frozen=True, slots=True)
class Content:
    """What one item is.

    Parameters
    ----------
    text
        What it says, None for a picture alone.
    path
        Where its picture lies, None for a text alone.
    """

    text: str | None = None
    path: Path | None = None


def content_features(collection: Collection) -> tuple[str, ...]:
    """Return the features that `contents_of` reads of a collection, ``("path", "text")`` or less.

    A collection of pictures with texts beside them, such as titles, counts by its modality: of
    ``"image"`` the pictures are read, of ``"image+text"`` both.
    """
    return FEATURES[collection.modality]


def contents_of(who: str, collection: Collection, rows: Iterable[int]) -> list[Content]:
    """Return the contents of some items.

    Parameters
    ----------
    who
        Who asks, for messages.
    collection
        The items.
    rows
        Which ones.

    Raises
    ------
    MissingFeatureError
        If the collection does not hold its texts, or the paths of its pictures.
    InputError
        Naming an item that has no text or no path.
    """
    features = content_features(collection)
    for feature in features:
        if feature not in collection:
            raise MissingFeatureError(
                f"{who}: the {collection.modality} collection has no {feature!r}, which tells what "
                "its items are; encode it from files and texts, which keeps it, or give it "
                f"with_features({feature}=[…])"
            )
    return [_content(who, collection, int(row), features) for row in rows]


def _content(who: str, collection: Collection, row: int, features: tuple[str, ...]) -> Content:
    written = {}
    for feature in features:
        value = collection[feature][row]
        if not isinstance(value, str | Path) or not str(value).strip():
            raise InputError(
                f"{who}: item {collection.ids[row]!r} has no {feature} ({value!r}); leave it out, "
                "or encode it again"
            )
        written[feature] = str(value)
    path = written.get("path")
    return Content(written.get("text"), None if path is None else Path(path))


__all__ = ["Content", "content_features", "contents_of"]
