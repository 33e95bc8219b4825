"""Small plugins and collections for tests: quick, deterministic, and without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr

DIMENSIONS = 8


def unit(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return rows of unit length."""
    rows = values / np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(rows, np.float32)


class ToyEncoder(cr.Encoder):
    """Counts letters and colours."""

    info = cr.EncoderInfo(
        name="toy",
        summary="counts letters and colours",
        features={
            "text": ("embedding", "tokens", "token_text"),
            "image": ("embedding", "tokens", "token_boxes", "size"),
        },
    )

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        """Return what was asked for."""
        made = _texts(items) if modality == "text" else _images(items)
        return {name: made[name] for name in features}


def _texts(items: Sequence[cr.Item]) -> dict[str, Any]:
    words = [str(item.text).split() for item in items]
    vectors = [unit(np.stack([_letters(word) for word in each])) for each in words]
    return {
        "embedding": unit(np.stack([_letters(str(item.text)) for item in items])),
        "tokens": cr.Ragged.from_list(vectors),
        "token_text": words,
    }


def _letters(text: str) -> NDArray[np.float64]:
    counts = np.bincount([ord(letter) % DIMENSIONS for letter in text], minlength=DIMENSIONS)
    return counts.astype(np.float64) + 0.1


def _images(items: Sequence[cr.Item]) -> dict[str, Any]:
    cells, sizes = [], []
    for item in items:
        assert item.image is not None
        picture = cr.open_image(item.image)
        sizes.append(picture.size)
        small = np.asarray(picture.resize((2, 2)), np.float64).reshape(4, 3)
        cells.append(unit(np.pad(small / 255, ((0, 0), (0, DIMENSIONS - 3))) + 0.1))
    boxes = [[x / 2, y / 2, (x + 1) / 2, (y + 1) / 2] for y in (0, 1) for x in (0, 1)]
    return {
        "embedding": unit(np.stack([each.mean(axis=0) for each in cells])),
        "tokens": cr.Ragged.from_list(cells),
        "token_boxes": cr.Ragged.from_list([np.array(boxes)] * len(items)),
        "size": np.array(sizes),
    }


class DotReranker(cr.Reranker):
    """The inner product of embeddings."""

    info = cr.RerankerInfo(
        name="dot",
        summary="inner product of embeddings",
        query_features=("embedding",),
        candidate_features=("embedding",),
    )

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the inner products."""
        gathered = block.candidates["embedding"][block.index]
        products = np.einsum("qd,qkd->qk", block.queries["embedding"], gathered)
        return cr.Scores(products.astype(np.float32))


def collection(
    count: int, modality: str, seed: int = 0, dimensions: int = DIMENSIONS
) -> cr.Collection:
    """Return random items with unit embeddings."""
    rng = np.random.default_rng(seed)
    return cr.Collection(
        [f"{modality[0]}{row}" for row in range(count)],
        modality,
        embedding=unit(rng.normal(size=(count, dimensions))),
    )
