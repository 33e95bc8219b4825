"""The splits that rows are measured on, read from their own files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crossrank as cr
from crossrank.cli.kit import read_items
from crossrank.errors import FormatError, InputError
from crossrank.evaluation import read_qrels
from crossrank.plugin.files import IMAGE_SUFFIXES, read_json
from crossrank_composed import Triplet, read_cirr, read_fashioniq
from crossrank_reproduce.tables import Places

CATEGORIES = ("dress", "shirt", "toptee")


@dataclass(frozen=True, slots=True)
class Composed:
    """Queries of a picture and an edit, and the pictures that are searched.

    Parameters
    ----------
    triplets
        The queries.
    gallery
        Id → path of its picture.
    """

    triplets: tuple[Triplet, ...]
    gallery: Mapping[str, Path]

    def query_items(self) -> list[cr.Item]:
        """Return the queries, to be encoded."""
        return [cr.Item(each.id, each.edit, self.gallery[each.reference]) for each in self.triplets]

    def image_items(self) -> list[cr.Item]:
        """Return the gallery, to be encoded."""
        return [cr.Item(id, image=path) for id, path in self.gallery.items()]


@dataclass(frozen=True, slots=True)
class Mixed:
    """Queries and a corpus of texts, pictures and both, with judgements."""

    queries: Sequence[cr.Item]
    corpus: Sequence[cr.Item]
    qrels: Mapping[str, Mapping[str, int]]


def captions_of(dataset: Mapping[str, Any], places: Places) -> cr.Captions:
    """Read pictures and captions of a split, so many captions of each as its protocol has."""
    path = Path(places.fill(dataset["captions"]))
    if dataset["layout"] == "karpathy":
        captions = cr.read_captions(path, "test")
    else:
        captions = _csv(path, dataset.get("encoding", "utf-8"))
    most = dataset.get("per_image")
    return captions if most is None else _first(captions, most)


def _csv(path: Path, encoding: str) -> cr.Captions:
    """Read a table with the columns ``filename`` and ``title``, a line a caption."""
    try:
        with path.open(encoding=encoding, newline="") as file:
            rows = [(line["filename"], line["title"]) for line in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise FormatError(
            f"reproduce: {path} cannot be read: {type(error).__name__}: {error}; it must be a "
            f"table in {encoding} with the columns filename and title"
        ) from error
    captions: dict[str, list[str]] = {}
    for number, (name, text) in enumerate(rows, start=2):
        if not name or not text or not text.strip():
            raise FormatError(f"reproduce: {path}, line {number} has no file name or no caption")
        captions.setdefault(name, []).append(text.strip())
    return _captions({name: (name, texts) for name, texts in captions.items()})


def _first(captions: cr.Captions, most: int) -> cr.Captions:
    own: dict[str, tuple[str, list[str]]] = {
        id: (path, []) for id, path in zip(captions.image_ids, captions.paths, strict=True)
    }
    for text, image in zip(captions.texts, captions.text_to_image, strict=True):
        own[captions.image_ids[image]][1].append(text)
    return _captions({id: (path, texts[:most]) for id, (path, texts) in own.items()})


def _captions(own: Mapping[str, tuple[str, Sequence[str]]]) -> cr.Captions:
    texts = [
        (f"{id}#{number}", text, row)
        for row, (id, (_, each)) in enumerate(own.items())
        for number, text in enumerate(each)
    ]
    return cr.Captions(
        tuple(own),
        tuple(path for path, _ in own.values()),
        tuple(id for id, _, _ in texts),
        tuple(text for _, text, _ in texts),
        tuple(row for _, _, row in texts),
    )


def composed_of(dataset: Mapping[str, Any], places: Places) -> Composed:
    """Read CIRR or FashionIQ.

    Raises
    ------
    FormatError
        If a file cannot be read.
    InputError
        Naming a picture that is not there.
    """
    images = Path(places.fill(dataset["images"]))
    source, splits = (Path(places.fill(dataset[name])) for name in ("captions", "splits"))
    if dataset["layout"] == "cirr":
        triplets = read_cirr(source)
        names = _json(splits, dict)
        gallery = {str(id): images / str(path) for id, path in names.items()}
    else:
        triplets, gallery = [], {}
        for category in CATEGORIES:
            for each in read_fashioniq(source / f"cap.{category}.val.json"):
                id = f"{category}-{each.id}"
                triplets.append(Triplet(id, each.reference, each.edit, each.target))
            for name in map(str, _json(splits / f"split.{category}.val.json", list)):
                gallery[name] = _picture(images, name)
    for triplet in triplets:
        for id in (triplet.reference, triplet.target):
            if id not in gallery:
                raise InputError(
                    f"reproduce: the query {triplet.id!r} of {source} names the picture {id!r}, "
                    f"which {splits} does not have; take both from the same release"
                )
    return Composed(tuple(triplets), gallery)


def mixed_of(dataset: Mapping[str, Any], places: Places) -> Mixed:
    """Read ``queries.jsonl``, ``corpus.jsonl`` and ``qrels.txt``."""
    folder = Path(places.fill(dataset["folder"]))
    queries, corpus = (read_items(folder / f"{name}.jsonl") for name in ("queries", "corpus"))
    return Mixed(queries, corpus, read_qrels(folder / "qrels.txt"))


def _picture(images: Path, name: str) -> Path:
    for suffix in (".jpg", ".png", *sorted(IMAGE_SUFFIXES)):
        path = images / f"{name}{suffix}"
        if path.is_file():
            return path
    raise InputError(f"reproduce: {images} has no picture {name!r}, neither .jpg nor .png")


def _json(path: Path, kind: type[Any]) -> Any:
    try:
        content = read_json(path)
        if not isinstance(content, kind):
            raise ValueError(f"it is a {type(content).__name__}, not a {kind.__name__}")
    except (OSError, ValueError) as error:
        raise FormatError(f"reproduce: {path} cannot be read: {error}") from error
    return content
