from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank_openclip import OpenClipEncoder
from toys import tiny_openclip

TEXTS = ["a dog runs on the grass", "Two cats", "the man of the red street " * 4, "an ox, a dog!"]
SIZES = [(50, 30), (33, 90), (64, 64), (20, 3), (200, 40)]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    with tiny_openclip.one_thread():
        yield


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a kind to the folder of a tiny checkpoint; nobody changes it."""

    @lru_cache
    def folder(kind: str) -> Path:
        return tiny_openclip.build(kind, tmp_path_factory.mktemp("openclip") / kind)

    return folder


@pytest.fixture(scope="session")
def encoder(checkpoint: Callable[[str], Path]) -> Callable[[str], OpenClipEncoder]:
    """Return a function from a kind to an encoder, loaded once."""

    @lru_cache
    def loaded(kind: str) -> OpenClipEncoder:
        return OpenClipEncoder(model=f"local-dir:{checkpoint(kind)}")

    return loaded


@pytest.fixture(scope="session")
def pictures() -> list[cr.Item]:
    """Return noisy pictures of several shapes."""
    rng = np.random.default_rng(3)
    noise = {size: rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8) for size in SIZES}
    return [
        cr.Item(f"{width}x{height}", image=Image.fromarray(values))
        for (width, height), values in noise.items()
    ]


@pytest.fixture(scope="session")
def texts() -> list[cr.Item]:
    """Return short texts and a long one that is cut."""
    return [cr.Item(str(n), text=text) for n, text in enumerate(TEXTS)]
