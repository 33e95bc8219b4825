"""Language models, matchers and galleries for tests of dialogues: small, and always the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_dialogue import View

WORDS = (
    ("dog", "cat", "man", "boy", "ball", "hat"),
    ("red", "blue", "brown", "black"),
    ("beach", "snow", "street", "grass"),
)
SIZE = 96


@cache
def vector(word: str) -> NDArray[np.float64]:
    """Return a direction that belongs to a word."""
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "big")
    return np.random.default_rng(seed).normal(size=SIZE)


def embed(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return unit rows: the sum of the words' directions."""
    rows = []
    for text in texts:
        words = text.casefold().replace(",", " ").replace("?", " ").split()
        total = np.sum([vector(word) for word in words], axis=0) if words else np.ones(SIZE)
        rows.append(total / np.linalg.norm(total))
    return np.array(rows).reshape(len(rows), SIZE)


class ToyEncoder(cr.Encoder):
    """Texts by `embed`; pictures by what their file is called, words between hyphens."""

    info = cr.EncoderInfo(
        name="toy",
        summary="words as directions",
        features={"text": ("embedding",), "image": ("embedding",)},
        default_features=("embedding",),
    )

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> dict[str, Any]:
        """Return the embeddings."""
        texts = [
            str(item.text)
            if modality == "text"
            else str(item.id).partition(".")[0].replace("-", " ")
            for item in items
        ]
        return {"embedding": embed(texts).astype(np.float32)}


def captions() -> list[str]:
    """Return one caption for every combination of words."""
    things, colours, places = WORDS
    return [f"{c} {t} {p}" for t in things for c in colours for p in places]


def gallery(**features: Any) -> cr.Collection:
    """Return a picture for every caption, which it is called by."""
    texts = captions()
    rows = embed(texts).astype(np.float32)
    ids = [text.replace(" ", "-") for text in texts]
    return cr.Collection(ids, "image", encoder="toy", embedding=rows, **features)


def view(query: str = "dog", count: int = 60, **features: Any) -> View:
    """Return the pictures that fit a query best."""
    pictures = gallery(captions=[[text] for text in captions()], **features)
    scores = np.einsum("td,nd->tn", embed([query]), np.asarray(pictures["embedding"], float))[0]
    return View(pictures, np.argsort(-scores, kind="stable")[:count], embed, query)


def scripted(*rules: tuple[str, str | Callable[[str], str]]) -> Any:
    """Return a model that answers by the first rule whose words stand in the system's message.

    It keeps what it was asked in ``asked``.
    """

    def model(messages: Sequence[dict[str, str]]) -> str:
        model.asked.append([dict(message) for message in messages])  # type: ignore[attr-defined]
        for words, reply in rules:
            if words in messages[0]["content"]:
                return reply if isinstance(reply, str) else reply(messages[-1]["content"])
        raise RuntimeError("no rule")

    model.asked = []  # type: ignore[attr-defined]
    return model
