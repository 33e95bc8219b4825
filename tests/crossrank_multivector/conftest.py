"""Tiny checkpoints of the three families, each saved once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toys.tiny_colvision import FAMILIES


@pytest.fixture(scope="session", params=sorted(FAMILIES))
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp(request.param) / request.param
    FAMILIES[request.param](folder)
    return folder


@pytest.fixture
def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    sizes = [(40, 60), (60, 40), (40, 60), (16, 16), (30, 100)]
    return [
        Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
        for width, height in sizes
    ]
