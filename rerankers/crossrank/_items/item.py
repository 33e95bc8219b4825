"""What a caller hands over: texts, pictures, or both, each under an id."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from crossrank._items.arrays import has_members
from crossrank._items.pictures import (
    Picture,
    PictureLike,
    as_picture,
    as_plain_picture,
    from_data_uri,
    looks_like,
)
from crossrank._text import is_blank, is_unicode
from crossrank.errors import InputError

IMAGE_SUFFIXES = frozenset(
    {
        *(".avif", ".bmp", ".gif", ".jfif", ".jpeg", ".jpg"),
        *(".png", ".ppm", ".tif", ".tiff", ".webp"),
    }
)


NO_FEATURES: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, init=False)
class Item:
    """One query or candidate.

    Parameters
    ----------
    id
        Its name in rankings and run files; None lets the collection number it.
    text
        The words, if it has any.
    image
        The picture, if it has one: a path (str or `Path`), ``file://``, a data URI, base64, bytes,
        a binary file, a PIL image, an array or a tensor; never downloaded, and not opened before
        it is needed.
    **features
        Features that are already known, such as ``embedding`` (one array per item).
    """

    id: str | None
    text: str | None
    image: Picture | None
    features: Mapping[str, Any]

    def __init__(
        self,
        id: str | None = None,
        text: str | None = None,
        image: PictureLike | None = None,
        **features: Any,
    ) -> None:
        if text is None and image is None and not features:
            raise InputError("Item: give a text, an image, or a feature")
        if not isinstance(text, str | None):
            raise InputError(f"Item: the text is {text!r:.80}; give a str")
        for what, said in (("id", id), ("text", text)):
            if isinstance(said, str) and not is_unicode(said):
                raise InputError(
                    f"Item: the {what} {said!r:.80} is not valid Unicode (a lone surrogate); "
                    "correct how it is read, or leave it out"
                )
        object.__setattr__(self, "id", id if id is None else str(id))
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "image", None if image is None else as_picture(image))
        object.__setattr__(self, "features", MappingProxyType(dict(features)))

    @classmethod
    def of_file(cls, path: Path) -> Item:
        """Return a picture that is called by its path."""
        made = object.__new__(cls)
        object.__setattr__(made, "id", str(path))
        object.__setattr__(made, "text", None)
        object.__setattr__(made, "image", path)
        object.__setattr__(made, "features", NO_FEATURES)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.id, self.text, self.image, dict(self.features))

    @property
    def modality(self) -> str:
        """``"text"``, ``"image"``, ``"image+text"``, or ``""`` where only features are known."""
        if self.image is None:
            return "" if self.text is None else "text"
        return "image" if self.text is None else "image+text"


def _rebuild(id: str | None, text: str | None, image: Any, features: dict[str, Any]) -> Item:
    return Item(id, text, image, **features)


ItemLike: TypeAlias = str | PictureLike | Item


def as_item(value: Any, modality: str | None = None) -> Item:
    """Read a query or candidate as the drop-in call takes it.

    Parameters
    ----------
    value
        An `Item` is itself.  A `Path`, bytes, a binary file, a PIL image, an array, a tensor and
        the data URI of an image are pictures.  Any other str is a text, unless `modality` says that
        it is a picture: a path, ``file://``, or base64.
    modality
        ``"image"``, ``"text"``, or None for what the value shows.

    Raises
    ------
    InputError
        For a str that was meant as a picture without saying so, for an empty text, and for any
        other type.
    ImageError
        For a data URI or base64 that is damaged, and an array that is no picture.
    """
    if isinstance(value, Item):
        return value
    if isinstance(value, str):
        return _from_str(value, modality)
    if isinstance(value, Path):
        return Item.of_file(value)
    picture = as_plain_picture(value)
    if picture is None:
        raise InputError(
            f"cannot rank a {type(value).__name__}; give a text (str), a picture (Path, bytes, "
            "PIL image, array, tensor) or an Item"
        )
    return Item(id=str(picture) if isinstance(picture, Path) else None, image=picture)


def listed(who: str, what: str, values: Any) -> list[Any]:
    """Return the members of a list, and refuse what would be taken for one by mistake.

    That is one text, one picture, a set, a mapping or a table; `who` and `what` name the list.
    """
    if isinstance(values, str | bytes | bytearray):
        kind = "text" if isinstance(values, str) else "picture"
        raise InputError(
            f"{who}: the {what} are one {kind}, {values[:40]!r}; give a list of {what}"
        )
    if isinstance(values, set | frozenset):
        raise InputError(f"{who}: the {what} are a set, which has no order; give a list of {what}")
    if isinstance(values, Mapping) or hasattr(values, "columns"):
        raise InputError(
            f"{who}: the {what} are a {type(values).__name__}, of which the keys would be "
            "taken; give a list: list(found.values()), or list(frame['text']) of a table"
        )
    rows_of_pixels = getattr(values, "ndim", 0) in (2, 3) and what != "ids"
    if rows_of_pixels or hasattr(values, "read") or not has_members(values):
        shown = f"one array {values.shape}" if rows_of_pixels else f"{values!r:.60}"
        raise InputError(f"{who}: the {what} are {shown}; give a list of {what}")
    return list(values)


def as_parts(value: Any) -> tuple[Item, ...]:
    """Read a query that may consist of several items (image + text, a dialogue)."""
    if isinstance(value, str | Item):
        return (as_item(value),)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        if not value:
            raise InputError("a query of no items cannot be ranked")
        return tuple(as_item(part) for part in value)
    return (as_item(value),)


def _from_str(value: str, modality: str | None) -> Item:
    if modality == "text" and not is_blank(value):
        return Item(text=value)
    if is_blank(value):
        raise InputError("an empty text cannot be ranked; leave it out")
    if modality == "image":
        picture = as_picture(value)
        return Item(id=value if isinstance(picture, Path) else None, image=picture)
    picture_of = from_data_uri(value)
    if picture_of is not None:
        return Item(image=picture_of)
    seems = looks_like(value)
    if seems:
        mend = (
            "crossrank downloads nothing: fetch it and give its bytes"
            if seems == "an address"
            else "use Item(image=...) or modality='image' for a picture"
        )
        raise InputError(
            f"the str {value[:40]!r}{'…' if len(value) > 40 else ''} looks like {seems}; {mend}, "
            "or Item(text=...) if it really is a text"
        )
    if _names_a_file(value):
        raise InputError(
            f"the str {value!r} looks like a file; use Path({value!r}) for a picture, "
            "or Item(text=...) if it really is a text"
        )
    return Item(text=value)


def _names_a_file(text: str) -> bool:
    if len(text) > 1024 or "\n" in text:
        return False
    if "." in text and os.path.splitext(text)[1].lower() in IMAGE_SUFFIXES:  # noqa: PTH122
        return True
    return os.path.isfile(text)  # noqa: PTH113 - it never raises, and costs a third of a Path's
