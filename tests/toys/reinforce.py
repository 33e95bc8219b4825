"""Small reinforced data sets: noisy pictures, and teachers that need no torch."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import crossrank as cr
from crossrank.plugin import Feature
from crossrank_reinforce import Pairs
from crossrank_reinforce.pairs import pairs_of

WORDS = ("red", "green", "blue", "dog", "grass", "runs")


class Means(cr.Encoder):
    """Means of colours in the quarters of a picture; of a text what a digest gives."""

    info = cr.EncoderInfo(
        name="reinforce-means",
        summary="twelve numbers",
        features={"image": ("embedding", "raw"), "text": ("embedding", "raw")},
        default_features=("embedding",),
    )
    batch_size = 16
    turn = 0
    pause = 0.0

    def fingerprint(self) -> str:
        return cr.fingerprint([type(self).__qualname__, self.turn])

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Feature]:
        time.sleep(self.pause)
        raw = np.stack([self.raw(item, modality) for item in items]).astype(np.float32)
        raw = np.roll(raw, self.turn, axis=1)
        unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        return {name: raw if name == "raw" else unit for name in features}

    def raw(self, item: cr.Item, modality: str) -> np.ndarray:
        if modality == "text":
            digest = hashlib.blake2b(str(item.text).encode(), digest_size=12).digest()
            return np.frombuffer(digest, np.uint8).astype(np.float64) / 255 + 0.01
        assert item.image is not None
        grid = np.asarray(cr.open_image(item.image).resize((2, 2)), np.float64)
        return grid.reshape(-1) / 255 + 0.01


class Turned(Means):
    """The same numbers in another order: another teacher."""

    info = cr.EncoderInfo(
        name="reinforce-turned",
        summary="twelve numbers",
        features={"image": ("embedding",), "text": ("embedding",)},
        default_features=("embedding",),
    )
    turn = 3


class Blind(cr.Encoder):
    """An encoder of texts alone."""

    info = cr.EncoderInfo(name="blind", summary="", features={"text": ("embedding",)})

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Feature]:
        return {}


def write(folder: Path, count: int = 4, captions: int = 2) -> Pairs:
    """Write pictures that are not there yet, and return them with captions."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for number in range(count):
        rng = np.random.default_rng(number)
        path = folder / f"{number}.png"
        if not path.exists():
            Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
        texts = [
            f"a {WORDS[number % 6]} {WORDS[(number + k + 1) % 6]} number {number}"
            for k in range(captions)
        ]
        entries.append((path, texts))
    return pairs_of(entries)


def content(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
