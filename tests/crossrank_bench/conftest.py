"""Small benchmarks on pictures of one colour, and an encoder that sees colours."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColourEncoder(cr.Encoder):
    """Means of red, green and blue; of a text how often it names them."""

    info = cr.EncoderInfo(
        name="bench-colours",
        summary="three numbers",
        features={"image": ("embedding", "tokens"), "text": ("embedding", "tokens")},
    )

    def encode_batch(
        self, items: Iterable[cr.Item], modality: str, features: Iterable[str]
    ) -> dict[str, cr.Feature]:
        rows = [self._row(item, modality) for item in items]
        unit = np.array([row / max(1e-9, float(np.linalg.norm(row))) for row in rows], np.float32)
        made: dict[str, cr.Feature] = {
            "embedding": unit,
            "tokens": cr.Ragged(unit, [1] * len(unit)),
        }
        return {name: made[name] for name in features}

    def _row(self, item: cr.Item, modality: str) -> np.ndarray:
        if modality == "image":
            assert item.image is not None
            seen: np.ndarray = np.asarray(cr.open_image(item.image), np.float64).mean(axis=(0, 1))
            return seen
        words = str(item.text).split()
        return np.array([words.count(name) + 1e-3 for name in COLOURS], np.float64)


class PicturesOnly(cr.Encoder):
    info = cr.EncoderInfo(
        name="bench-pictures-only", summary="one side", features={"image": ("embedding",)}
    )

    def encode_batch(
        self, items: Any, modality: str, features: Iterable[str]
    ) -> dict[str, cr.Feature]:
        raise AssertionError("it is refused before")


cr.register(ColourEncoder)
cr.register(PicturesOnly)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (8, 6), colour).save(folder / f"{name}.png")
    return folder


def write(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.fixture
def sugarcrepe(tmp_path: Path, pictures: Path) -> Path:
    folder = tmp_path / "sugarcrepe"
    write(
        folder / "swap_att.json",
        {
            "0": item("red.png", "red thing", "blue thing"),
            "3": item("green.png", "blue thing", "green thing"),  # wrong on purpose
            "7": item("lost.png", "red", "blue"),
        },
    )
    write(
        folder / "add_obj.json",
        [
            item("blue.png", "a blue thing", "a blue toy"),  # a tie: the same colours
            item("green.png", "green", "red"),
        ],
    )
    return folder


def item(filename: str, caption: str, negative: str) -> dict[str, str]:
    return {"filename": filename, "caption": caption, "negative_caption": negative}
