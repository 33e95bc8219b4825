"""The gallery that is searched: a collection on disk that may be replaced, or one in memory."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import crossrank as cr
from crossrank.errors import CrossrankError, InputError, StoreError
from crossrank.report import may_show
from crossrank_serve.problems import RequestError

logger = logging.getLogger(__name__)

MANIFEST = "collection.json"
SIDE = 512
"""Pixels of the longer side of a picture on the page."""

Stamp = tuple[int, int, int]


class Gallery:
    """A collection with what a search needs.

    Parameters
    ----------
    folder
        What ``crossrank encode`` wrote, or a folder of pictures, which is encoded now.
    encoder
        The server's.
    features
        What a search reads.

    Raises
    ------
    CrossrankError
        If it cannot be opened, or was made by another encoder.
    """

    def __init__(self, folder: Path, encoder: cr.Encoder, features: Sequence[str]) -> None:
        self._folder = folder
        self._encoder = encoder
        self._features = tuple(features)
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        if (folder / MANIFEST).is_file():
            self._stamp = self._read_stamp()
            self._collection = self._opened()
        elif folder.is_dir():
            made = cr.encode(encoder, folder, "image", self._features, progress=True)
            self._collection = made
        else:
            raise InputError(
                f"serve: {folder} is neither a collection nor a folder of pictures; check --gallery"
            )

    def current(self) -> cr.Collection:
        """Return the collection, opened again if another one lies in its place.

        Raises
        ------
        RequestError
            503 while there is none.
        """
        with self._lock:
            if self._stamp is not None and self._read_stamp() != self._stamp:
                stamp = self._read_stamp()
                try:
                    self._collection, self._stamp = self._opened(), stamp
                except (CrossrankError, OSError) as error:
                    logger.error("the gallery was replaced and cannot be opened: %s", error)
                    raise _being_replaced() from None
                logger.warning("the gallery was replaced; it has %d items", len(self._collection))
            return self._collection

    def thumbnail(self, row: int) -> bytes:
        """Return a picture of the gallery, small, as JPEG.

        Raises
        ------
        RequestError
            404 where there is none.
        """
        collection = self.current()
        if not 0 <= row < len(collection) or "path" not in collection:
            raise RequestError(404, f"the gallery has no picture {row}")
        path = collection["path"][row]
        if not may_show(path):
            raise RequestError(404, f"the picture {row} of the gallery is not shown")
        try:
            image = cr.open_image(Path(path))
        except (CrossrankError, OSError):
            raise RequestError(404, f"the picture {row} of the gallery is not there") from None
        image.thumbnail((SIDE, SIDE))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=85)
        return file.getvalue()

    def _opened(self) -> cr.Collection:
        collection = cr.Collection.open(self._folder)
        missing = [name for name in self._features if name not in collection]
        if missing:
            raise StoreError(
                f"{self._folder} lacks {', '.join(map(repr, missing))}, which the stages read; "
                f"encode it again with --features {','.join(self._features)}"
            )
        return collection

    def _read_stamp(self) -> Stamp:
        try:
            found = (self._folder / MANIFEST).stat()
        except OSError:
            raise _being_replaced() from None
        return found.st_ino, found.st_mtime_ns, found.st_size


def _being_replaced() -> RequestError:
    return RequestError(503, "the gallery is being replaced; try again in a moment", 2)
