from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import crossrank as cr
from crossrank_clip.encoder import ClipEncoder
from toys import tiny_clip

TEXTS = [
    "a dog runs on the grass",
    "Two cats",
    "the man of the red street rides a brown horse in the black grass",
    "an ox, a dog!",
]
SIZES = [(50, 30), (33, 90), (64, 64), (20, 3), (200, 40)]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: with models as tiny as these, waiting for others takes longest."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a family to the folder of a tiny checkpoint; nobody changes it."""

    @lru_cache
    def folder(family: str) -> Path:
        return tiny_clip.build(family, tmp_path_factory.mktemp("checkpoints") / family)

    return folder


@pytest.fixture(scope="session")
def encoder(checkpoint: Callable[[str], Path]) -> Callable[[str], ClipEncoder]:
    """Return a function from a family to an encoder, loaded once."""

    @lru_cache
    def loaded(family: str) -> ClipEncoder:
        return ClipEncoder(model=checkpoint(family))

    return loaded


@pytest.fixture(scope="session")
def pictures() -> list[cr.Item]:
    """Return noisy pictures of several shapes."""
    rng = np.random.default_rng(3)
    return [
        cr.Item(f"{width}x{height}", image=Image.fromarray(_noise(rng, width, height)))
        for width, height in SIZES
    ]


@pytest.fixture(scope="session")
def texts() -> list[cr.Item]:
    """Return a short text, a long one that is cut, and one of unknown words."""
    return [cr.Item(str(n), text=text) for n, text in enumerate(TEXTS)]


def _noise(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
