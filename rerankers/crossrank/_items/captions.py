"""Caption files in the layout of Karpathy and Fei-Fei (CVPR 2015), as the field's splits come.

``dataset_flickr8k.json``, ``dataset_flickr30k.json`` and ``dataset_coco.json`` hold ``images``,
each with ``filename``, perhaps ``filepath``, ``split`` and five ``sentences``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossrank._files.parsing import read_json
from crossrank._files.trec import Qrels
from crossrank._items.item import Item
from crossrank._text import is_blank
from crossrank.errors import DuplicateIdError, FormatError, InputError, OrientationError, nearest

TRAIN = "train"
REST = "restval"


@dataclass(frozen=True, slots=True)
class Captions:
    """Images and their captions.

    Parameters
    ----------
    image_ids
        One per image: its file name.
    paths
        One per image: where it lies below the folder of pictures.
    text_ids
        One per text: the image's id, ``#`` and the number of the caption, from 0.
    texts
        The captions, image after image.
    text_to_image
        One per text: the row of its image.
    """

    image_ids: tuple[str, ...]
    paths: tuple[str, ...]
    text_ids: tuple[str, ...]
    texts: tuple[str, ...]
    text_to_image: tuple[int, ...]

    def image_items(self, folder: str | Path) -> list[Item]:
        """Return the pictures, to be encoded, out of the folder that holds them."""
        return [
            Item(id, image=Path(folder) / path)
            for id, path in zip(self.image_ids, self.paths, strict=True)
        ]

    def text_items(self) -> list[Item]:
        """Return the captions, to be encoded."""
        return [Item(id, text) for id, text in zip(self.text_ids, self.texts, strict=True)]

    def qrels(self, direction: str) -> Qrels:
        """Return which images belong to each text (``"t2i"``), or which texts to each image.

        Raises
        ------
        OrientationError
            On any other direction.
        """
        pairs = zip(self.text_ids, self.text_to_image, strict=True)
        if direction == "t2i":
            return {text: {self.image_ids[image]: 1} for text, image in pairs}
        if direction == "i2t":
            qrels: Qrels = {image: {} for image in self.image_ids}
            for text, image in pairs:
                qrels[self.image_ids[image]][text] = 1
            return qrels
        raise OrientationError(f"Captions: direction is {direction!r:.80}; give 't2i' or 'i2t'")


def read_captions(path: str | Path, split: str | None = "test") -> Captions:
    """Read the images and captions of a split.

    Parameters
    ----------
    path
        A JSON file in Karpathy's layout.
    split
        ``"train"`` (with what COCO calls ``restval``), ``"val"`` or ``"test"``; None for all.

    Raises
    ------
    FormatError
        If the file cannot be read, or an image lacks what it needs, naming it.
    DuplicateIdError
        If two images share a file name.
    InputError
        If no image is in the split.

    Examples
    --------
    >>> captions = read_captions("dataset_flickr8k.json", "test")  # doctest: +SKIP
    >>> captions.qrels("t2i")  # doctest: +SKIP
    """
    entries = _images(Path(path))
    splits = [_split(path, number, entry) for number, entry in enumerate(entries)]
    chosen = [
        (number, entry)
        for number, entry in enumerate(entries)
        if split is None or splits[number] == split
    ]
    if not chosen:
        raise InputError(
            f"{path}: no image is in the split {split!r}{nearest(str(split), set(splits))}"
        )
    names: dict[str, int] = {}
    paths, text_ids, texts, text_to_image = [], [], [], []
    for number, entry in chosen:
        name, folder = _name(path, number, entry), entry.get("filepath", "")
        if not isinstance(folder, str):
            raise _malformed(path, name, f"the filepath {folder!r}; it must be a str")
        if name in names:
            raise DuplicateIdError(f"{path}: two images have the filename {name!r}")
        sentences = _sentences(path, name, entry)
        text_ids += [f"{name}#{place}" for place in range(len(sentences))]
        texts += sentences
        text_to_image += [len(names)] * len(sentences)
        paths.append(f"{folder}/{name}" if folder else name)
        names[name] = len(names)
    return Captions(tuple(names), tuple(paths), tuple(text_ids), tuple(texts), tuple(text_to_image))


def _images(path: Path) -> Sequence[dict[str, Any]]:
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} cannot be read as JSON: {error}") from error
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list) or not images:
        raise FormatError(
            f'{path} has no list "images"; give a caption file in the layout of '
            "dataset_flickr8k.json"
        )
    for number, entry in enumerate(images):
        if not isinstance(entry, dict):
            raise _malformed(path, number, f"a {type(entry).__name__} where an object belongs")
    return images


def _split(path: str | Path, number: int, entry: dict[str, Any]) -> str:
    split = entry.get("split")
    if not isinstance(split, str) or not split:
        raise _malformed(path, _name(path, number, entry), f"the split {split!r}; give a name")
    return TRAIN if split == REST else split


def _name(path: str | Path, number: int, entry: dict[str, Any]) -> str:
    name = entry.get("filename")
    if not isinstance(name, str) or not name:
        raise _malformed(path, number, f"the filename {name!r}; it must be a str")
    return name


def _sentences(path: str | Path, name: str, entry: dict[str, Any]) -> list[str]:
    sentences = entry.get("sentences")
    if not isinstance(sentences, list) or not sentences:
        raise _malformed(path, name, "no list of sentences")
    texts = [each.get("raw") if isinstance(each, dict) else None for each in sentences]
    for place, text in enumerate(texts):
        if not isinstance(text, str) or is_blank(text):
            raise _malformed(path, name, f"sentence {place} without a text under 'raw'")
    ids = entry.get("sentids")
    if ids is not None and (not isinstance(ids, list) or len(ids) != len(sentences)):
        raise _malformed(path, name, f"sentids {ids!r} for {len(sentences)} sentences")
    return [str(text).strip() for text in texts]


def _malformed(path: str | Path, image: str | int, what: str) -> FormatError:
    named = f"image {image!r}" if isinstance(image, str) else f"image number {image}"
    return FormatError(f"{path}: {named} has {what}")
