"""Synthetic collections that hold every standard feature, the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossrank._items.collection import Collection
from crossrank._items.item import Item
from crossrank._items.ragged import Ragged
from crossrank.testing._pictures import SIZES, make_picture, picture_file

NOUNS = ("dog", "cat", "ball", "boat", "tree", "horse", "child", "street", "window", "hat")
ADJECTIVES = ("red", "small", "wet", "old", "bright")
DIMENSIONS: Mapping[str, int] = {"embedding": 16, "tokens": 16, "regions": 24, "words": 20}

Concepts: TypeAlias = Sequence[tuple[str, str | None]]


def make_collection(
    modality: str,
    count: int = 12,
    *,
    seed: int = 0,
    dimensions: Mapping[str, int] | None = None,
) -> Collection:
    """Return items with all standard features of their modality, and a ``text`` for pictures too.

    Texts speak of one to three things, and the labels of a picture name what its text speaks of;
    vectors are random.  Items of a single token are among them, so that some pairs have negative
    similarities only.

    Parameters
    ----------
    modality
        ``"image"``, ``"text"`` or ``"image+text"``.
    count
        How many items.
    seed
        Other seeds give other items.
    dimensions
        The sizes of ``embedding``, ``tokens``, ``regions`` and ``words``, where a plugin needs
        certain ones; the others are as in `DIMENSIONS`.

    Examples
    --------
    >>> make_collection("text", 3).features
    ('embedding', 'tokens', 'text', 'token_text', 'words', 'concepts')
    """
    rng = np.random.default_rng([seed, *modality.encode()])
    sizes = {**DIMENSIONS, **(dimensions or {})}
    concepts = [_concepts(rng, 1 + row % 3) for row in range(count)]
    texts = [" with ".join(_phrase(*concept) for concept in each) for each in concepts]
    tokens = [1 + row % 6 for row in range(count)]
    special: dict[str, Any] = {}
    if modality == "text":
        tokens = [len(text.split()) for text in texts]
        special = _text_features(rng, texts, concepts, sizes)
    elif modality == "image":
        special = _image_features(rng, tokens, concepts, sizes)
    return Collection(
        [f"{modality}-{seed}-{row}" for row in range(count)],
        modality,
        embedding=_unit(rng.normal(size=(count, sizes["embedding"]))),
        tokens=Ragged(_unit(rng.normal(size=(sum(tokens), sizes["tokens"]))), tokens),
        text=texts,
        **special,
    )


def make_items(modality: str, count: int = 7) -> list[Item]:
    """Return texts, pictures by turns as open image and as file, or both in one, for an encoder."""
    if modality == "text":
        texts = make_collection("text", count)["text"]
        return [Item(f"text-{row}", text) for row, text in enumerate(texts)]
    pictures = [
        Item(f"image-{row}", image=picture_file(row) if row % 2 else make_picture(row))
        for row in range(count)
    ]
    if modality == "image":
        return pictures
    texts = make_collection("text", count)["text"]
    return [
        Item(f"both-{row}", text, picture.image)
        for row, (text, picture) in enumerate(zip(texts, pictures, strict=True))
    ]


def _concepts(rng: np.random.Generator, count: int) -> Concepts:
    """Choose things; a thing that stands alone has no adjective."""
    nouns = rng.choice(NOUNS, count, replace=False).tolist()
    adjectives = rng.choice(ADJECTIVES, count).tolist() if count > 1 else [None]
    return list(zip(nouns, adjectives, strict=True))


def _phrase(noun: str, adjective: str | None) -> str:
    return noun if adjective is None else f"{adjective} {noun}"


def _text_features(
    rng: np.random.Generator,
    texts: Sequence[str],
    concepts: Sequence[Concepts],
    sizes: Mapping[str, int],
) -> dict[str, Any]:
    words = [text.split() for text in texts]
    return {
        "token_text": words,
        "words": _vectors(rng, [len(each) for each in words], sizes["words"]),
        "concepts": concepts,
    }


def _image_features(
    rng: np.random.Generator,
    tokens: Sequence[int],
    concepts: Sequence[Concepts],
    sizes: Mapping[str, int],
) -> dict[str, Any]:
    rows = range(len(concepts))
    regions = [len(each) for each in concepts]
    return {
        "token_boxes": _boxes(rng, tokens),
        "regions": _vectors(rng, regions, sizes["regions"]),
        "boxes": _boxes(rng, regions),
        "labels": [[noun for noun, _ in each] for each in concepts],
        "box_scores": Ragged(rng.uniform(size=sum(regions)).astype(np.float32), regions),
        "size": np.array([SIZES[row % len(SIZES)] for row in rows], np.int64).reshape(-1, 2),
        "path": [str(picture_file(row)) for row in rows],
    }


def _vectors(rng: np.random.Generator, lengths: Sequence[int], size: int) -> Ragged:
    return Ragged(rng.normal(size=(sum(lengths), size)).astype(np.float32), lengths)


def _boxes(rng: np.random.Generator, lengths: Sequence[int]) -> Ragged:
    corners = np.sort(rng.uniform(size=(sum(lengths), 2, 2)), axis=1)
    return Ragged(corners.reshape(-1, 4).astype(np.float32), lengths)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
