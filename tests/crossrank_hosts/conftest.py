"""Quick plugins and small pictures for the tests of every host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import crossrank as cr
from toys.basic import DotReranker, ToyEncoder

COLORS = ("red", "green", "blue", "white", "black")


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    cr.register(DotReranker)
    cr.register(ToyEncoder)
    yield


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = []
    for color in COLORS:
        paths.append(tmp_path / f"{color}.png")
        Image.new("RGB", (6, 4), color).save(paths[-1])
    return paths
