"""The data set that is reinforced: pictures, and texts that belong to them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FormatError, InputError, StoreError
from crossrank.plugin.files import file_digest, read_json_lines


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pictures and texts.

    Parameters
    ----------
    images
        N items with an id and the path of a picture each.
    texts
        M items with an id and a text each.
    text_to_image
        ``[M]`` int64 the picture that a text belongs to.

    Raises
    ------
    InputError
        If there is none, an item lacks what it needs, or a text names no picture.
    """

    images: tuple[cr.Item, ...]
    texts: tuple[cr.Item, ...]
    text_to_image: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not self.images or not self.texts:
            raise InputError("reinforce: there are no pictures, or no texts")
        if len(self.text_to_image) != len(self.texts):
            raise InputError(
                f"reinforce: {len(self.texts)} texts and {len(self.text_to_image)} pictures of "
                "texts; give one for each"
            )
        for item in self.images:
            if item.id is None or not isinstance(item.image, Path):
                raise InputError(
                    f"reinforce: the picture {item.id!r} has no id or no path; a store keeps "
                    "seeds, so that pictures are opened again"
                )
        for item in self.texts:
            if item.id is None or not item.text or not item.text.strip():
                raise InputError(f"reinforce: the text {item.id!r} has no id or no text")
        low, high = int(self.text_to_image.min()), int(self.text_to_image.max())
        if low < 0 or high >= len(self.images):
            raise InputError(
                f"reinforce: a text belongs to picture {low if low < 0 else high} of "
                f"{len(self.images)}"
            )

    def fingerprint(self) -> str:
        """Return a digest of ids, texts and the content of the pictures, wherever they lie."""
        digest = hashlib.blake2b(digest_size=16)
        for part in self._parts():
            digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()

    def _parts(self) -> Iterator[str]:
        for item in self.images:
            yield f"{item.id}\0{file_digest('reinforce', str(item.image))}"
        for item, image in zip(self.texts, self.text_to_image, strict=True):
            yield f"{item.id}\0{item.text}\0{image}"


def read_pairs(path: str | Path, images: str | Path, split: str | None = None) -> Pairs:
    """Read a caption file.

    Parameters
    ----------
    path
        A JSON file in Karpathy's layout (see `crossrank.read_captions`), or JSON lines with
        ``filename``, ``captions`` and perhaps ``split``.
    images
        The folder of the pictures.
    split
        Which split; all by default.

    Raises
    ------
    FormatError
        Naming the line that cannot be read.
    InputError
        If no picture is left, or one is not there.
    """
    path, folder = Path(path), Path(images)
    if path.suffix == ".jsonl":
        entries = _lines(path, split)
    else:
        captions = cr.read_captions(path, split)
        rows: dict[int, list[str]] = {}
        for text, image in zip(captions.texts, captions.text_to_image, strict=True):
            rows.setdefault(image, []).append(text)
        entries = [(each, rows.get(row, [])) for row, each in enumerate(captions.paths)]
    return pairs_of([(folder / name, texts) for name, texts in entries])


def pairs_of(entries: Sequence[tuple[Path, Sequence[str]]]) -> Pairs:
    """Return the pairs of pictures with their captions; ids are names of files."""
    pictures, texts, owner = [], [], []
    for row, (path, own) in enumerate(entries):
        if not path.is_file():
            raise InputError(f"reinforce: the picture {path} is not there; check --images")
        pictures.append(cr.Item(path.name, image=path))
        texts += [cr.Item(f"{path.name}#{number}", text) for number, text in enumerate(own)]
        owner += [row] * len(own)
    return Pairs(tuple(pictures), tuple(texts), np.array(owner, np.int64))


def _lines(path: Path, split: str | None) -> list[tuple[str, list[str]]]:
    found = []
    try:
        for number, entry in read_json_lines(path):
            if not isinstance(entry, dict):
                raise FormatError(f"{path}, line {number} is no object")
            name, own = entry.get("filename"), entry.get("captions")
            if (
                not isinstance(name, str)
                or not name
                or not isinstance(own, list)
                or not all(isinstance(each, str) and each.strip() for each in own)
            ):
                raise FormatError(f"{path}, line {number} has no filename or no list of captions")
            if split is None or entry.get("split") == split:
                found.append((name, [each.strip() for each in own]))
    except OSError as error:
        raise StoreError(f"reinforce: {path} cannot be read: {error.strerror}") from error
    if not found:
        raise InputError(f"reinforce: {path} has no picture of the split {split!r}")
    return found
