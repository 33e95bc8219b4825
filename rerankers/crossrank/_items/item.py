"""What a caller hands over: texts, pictures, or both, each under an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from PIL import Image

from crossrank.errors import InputError

IMAGE_SUFFIXES = frozenset(
    {
        *(".avif", ".bmp", ".gif", ".jfif", ".jpeg", ".jpg"),
        *(".png", ".ppm", ".tif", ".tiff", ".webp"),
    }
)


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
        The picture, if it has one: a path or an open PIL image.
    **features
        Features that are already known, such as ``embedding`` (one array per item).
    """

    id: str | None
    text: str | None
    image: Path | Image.Image | None
    features: Mapping[str, Any]

    def __init__(
        self,
        id: str | None = None,
        text: str | None = None,
        image: str | Path | Image.Image | None = None,
        **features: Any,
    ) -> None:
        if text is None and image is None and not features:
            raise InputError("Item: give a text, an image, or a feature")
        object.__setattr__(self, "id", id if id is None else str(id))
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "image", Path(image) if isinstance(image, str) else image)
        object.__setattr__(self, "features", MappingProxyType(dict(features)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.id, self.text, self.image, dict(self.features))

    @property
    def modality(self) -> str:
        """``"text"``, ``"image"``, ``"image+text"``, or ``""`` where only features are known."""
        named = (("image", self.image), ("text", self.text))
        return "+".join(name for name, part in named if part is not None)


def _rebuild(id: str | None, text: str | None, image: Any, features: dict[str, Any]) -> Item:
    return Item(id, text, image, **features)


ItemLike: TypeAlias = str | Path | Image.Image | Item


def as_item(value: ItemLike) -> Item:
    """Read a query or candidate as the drop-in call takes it.

    Parameters
    ----------
    value
        A str is a text, a `Path` or PIL image is a picture, an `Item` is itself.

    Raises
    ------
    InputError
        For a str that names an existing file or ends like a picture's file name (a `Path` was
        meant), for an empty text, and for any other type.
    """
    if isinstance(value, Item):
        return value
    if isinstance(value, str):
        if not value.strip():
            raise InputError("an empty text cannot be ranked; leave it out")
        if _names_a_file(value):
            raise InputError(
                f"the str {value!r} looks like a file; use Path({value!r}) for a picture, "
                "or Item(text=...) if it really is a text"
            )
        return Item(text=value)
    if isinstance(value, Path):
        return Item(id=str(value), image=value)
    if isinstance(value, Image.Image):
        return Item(image=value)
    raise InputError(
        f"cannot rank a {type(value).__name__}; give a str, a Path, a PIL image or an Item"
    )


def as_parts(value: ItemLike | Sequence[ItemLike]) -> tuple[Item, ...]:
    """Read a query that may consist of several items (image + text, a dialogue)."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not value:
            raise InputError("a query of no items cannot be ranked")
        return tuple(as_item(part) for part in value)
    return (as_item(value),)


def _names_a_file(text: str) -> bool:
    if len(text) > 1024 or "\n" in text:
        return False
    try:
        return Path(text).suffix.lower() in IMAGE_SUFFIXES or Path(text).is_file()
    except (OSError, ValueError):
        return False
