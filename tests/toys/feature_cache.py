"""What tests of cached features share: an encoder that counts, pictures, and the one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from toys.basic import ToyEncoder


class Counting(ToyEncoder):
    """Says how many items it was given."""

    info = cr.EncoderInfo(name="counting_cache", summary="", features=ToyEncoder.info.features)
    seen = 0

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        type(self).seen += len(items)
        return super().encode_batch(items, modality, features)


def picture(path: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def call(candidates: Sequence[Any], query: str = "a dog", **options: Any) -> cr.Ranking:
    return cr.rerank(query, candidates, "dot", encoder="counting_cache", **options)


def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what is in memory."""
    monkeypatch.setattr("crossrank._features.cache._caches", {})
