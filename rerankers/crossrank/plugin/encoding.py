"""What encoders share: a model that is loaded once, texts that were cut, the picture of an item."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from crossrank.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from crossrank._items.item import Item

Made = TypeVar("Made")


class Once(Generic[Made]):
    """Something that is made when it is first asked for, by one thread, and kept.

    Parameters
    ----------
    make
        Makes it; after an exception the next call tries again.

    Examples
    --------
    >>> model = Once(lambda: ["weights"])
    >>> model() is model()
    True
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._made: list[Made] = []
        self._lock = threading.Lock()

    def __call__(self) -> Made:
        """Return it."""
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]


class CutTexts:
    """Counts texts that were longer than a model can read: the first of them are a warning.

    Parameters
    ----------
    who
        The plugin, for messages.
    logger
        The plugin's own.

    Attributes
    ----------
    count : int
        How many were cut so far.
    """

    def __init__(self, who: str, logger: logging.Logger) -> None:
        self.who = who
        self.logger = logger
        self.count = 0
        self._lock = threading.Lock()

    def add(self, cut: int, texts: int, limit: str = "the model can read") -> None:
        """Count `cut` of `texts`, and say so in the log.

        Parameters
        ----------
        cut, texts
            How many were cut, of how many.
        limit
            How long they may be, such as ``"the 77 tokens the model can read"``.
        """
        if not cut:
            return
        with self._lock:
            level = logging.INFO if self.count else logging.WARNING
            self.count += cut
            count = self.count
        said = "%s: %d of %d texts are longer than %s, and were cut (%d so far)"
        self.logger.log(level, said, self.who, cut, texts, limit, count)


def picture_of(who: str, item: Item) -> Image.Image:
    """Return the picture of an item, upright and RGB.

    Raises
    ------
    InputError
        If it has none.
    ImageError
        If it cannot be read.
    """
    if item.image is None:
        raise InputError(f"{who}: the item {item.id!r} has no image")
    from crossrank._items.images import open_image

    return open_image(item.image)


def pictures_of(who: str, items: Iterable[Item]) -> Iterator[Image.Image]:
    """Return the pictures of items one after the other: at full size they fill the memory."""
    return (picture_of(who, item) for item in items)


__all__ = ["CutTexts", "Once", "picture_of", "pictures_of"]
