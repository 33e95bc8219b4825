"""Flickr8k for `mack_flickr8k.py`: splits, encoded collections, and the two bases."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_knowledge import label_tokens, with_concepts


@dataclass(frozen=True, slots=True)
class Split:
    """A split: file names, captions, and where its collections lie."""

    name: str
    data: Path
    work: Path
    files: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...]

    @classmethod
    def read(cls, name: str, data: Path, work: Path) -> Split:
        """Read the captions of a split."""
        lines = (data / "flickr8k" / "captions.jsonl").read_text("utf-8").splitlines()
        rows = [row for row in map(json.loads, lines) if row["split"] == name]
        captions = tuple(tuple(row["captions"]) for row in rows)
        return cls(name, data, work, tuple(row["filename"] for row in rows), captions)

    @property
    def paths(self) -> list[Path]:
        """The pictures."""
        return [self.data / "flickr8k" / "images" / name for name in self.files]

    def collection(self, what: str) -> cr.Collection:
        """Open what `prepare` encoded."""
        return cr.Collection.open(self.work / f"{what}_{self.name}")

    def sides(self, direction: str, what: str = "images") -> tuple[cr.Collection, cr.Collection]:
        """Return queries and gallery."""
        texts, images = self.collection("texts"), self.collection(what)
        return (texts, images) if direction == "t2i" else (images, texts)

    def qrels(self, direction: str) -> dict[str, dict[str, int]]:
        """Return what belongs to each query."""
        pairs = [
            (f"{name}#{number}", name)
            for name, captions in zip(self.files, self.captions, strict=True)
            for number in range(len(captions))
        ]
        qrels: dict[str, dict[str, int]] = {}
        for text, image in pairs:
            query, relevant = (text, image) if direction == "t2i" else (image, text)
            qrels.setdefault(query, {})[relevant] = 1
        return qrels


def prepare(splits: Sequence[Split]) -> None:
    """Encode pictures (grid and detector) and captions."""
    for split in splits:
        items = [
            cr.Item(name, image=path) for name, path in zip(split.files, split.paths, strict=True)
        ]
        features: tuple[str, ...] = ("regions", "token_boxes")
        if split.name != "train":
            features += ("embedding", "tokens")
        encoded(split, "images", "lite", items, features)
        model = split.data / "yolox_nano" / "yolox_nano.onnx"
        found = ("boxes", "labels", "box_scores")
        encoded(split, "boxes", "detect", items, found, model=model)
        if split.name != "train":
            captions = [
                cr.Item(f"{name}#{number}", caption)
                for name, each in zip(split.files, split.captions, strict=True)
                for number, caption in enumerate(each)
            ]
            encoded(split, "words", "lite", captions, ("embedding", "tokens"))
            if not (split.work / f"texts_{split.name}").is_dir():
                with_concepts(split.collection("words")).save(split.work / f"texts_{split.name}")


def encoded(
    split: Split, what: str, encoder: str, items: Any, features: Sequence[str], **params: Any
) -> None:
    out = split.work / f"{what}_{split.name}"
    if not out.is_dir():
        cr.encode(encoder, items, None, features, out, progress=True, **params)


def embedding_base(split: Split, direction: str, depth: int) -> cr.Candidates:
    """Return the base by cosine of the lite embeddings."""
    queries, gallery = split.sides(direction)
    return cr.search(queries, gallery, depth)


def unranked(split: Split, direction: str) -> cr.Candidates:
    """Return everything, in no order."""
    return from_similarity(split, np.zeros((len(split.files), 5 * len(split.files))), direction)


def label_base(split: Split, train: Split, direction: str) -> cr.Candidates:
    """Return the weaker base: TF-IDF cosine of captions and detected labels, nothing paired."""
    bags = [Counter(w for label in own for w in label_tokens(label))
            for own in split.collection("boxes")["labels"]]  # fmt: skip
    corpus = [
        {w for label in own for w in label_tokens(label)}
        for own in train.collection("boxes")["labels"]
    ]
    vocabulary = {word: n for n, word in enumerate(sorted(set().union(*corpus)))}
    frequency = Counter(word for own in corpus for word in own)
    idf = np.array([np.log(len(corpus) / frequency[word]) + 1 for word in vocabulary])
    texts = [Counter(label_tokens(c.lower())) for own in split.captions for c in own]
    images, captions = (tf_idf(each, vocabulary, idf) for each in (bags, texts))
    return from_similarity(split, images @ captions.T, direction)


def from_similarity(split: Split, similarity: NDArray[np.float64], direction: str) -> cr.Candidates:
    return cr.Candidates.from_similarity(
        similarity,
        direction=direction,
        depth=similarity.shape[0] if direction == "t2i" else similarity.shape[1],
        image_ids=split.files,
        text_ids=split.collection("texts").ids,
    )


def tf_idf(
    bags: Sequence[Counter[str]], vocabulary: dict[str, int], idf: NDArray[np.float64]
) -> NDArray[np.float64]:
    rows = np.zeros((len(bags), len(vocabulary)))
    for row, bag in enumerate(bags):
        for word, count in bag.items():
            if word in vocabulary:
                rows[row, vocabulary[word]] = count
    rows *= idf
    unit: NDArray[np.float64] = rows / np.maximum(
        np.linalg.norm(rows, axis=1, keepdims=True), 1e-12
    )
    return unit
