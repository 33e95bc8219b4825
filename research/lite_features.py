"""Frozen features of the Flickr8k splits, cached on disk in shards so that a kill costs little."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file, save_file
from torch.nn import functional

from crossrank_lite.heads import Standardise
from crossrank_lite.picture_tower import PictureTower, to_pixels
from crossrank_lite.text_tower import WIDTH, TextTower

logger = logging.getLogger(__name__)

Shard = dict[str, NDArray[Any]]
SHARD = 250
CAPTIONS = 5


@dataclass(frozen=True, slots=True)
class Split:
    """Pictures and their captions, five each, picture after picture."""

    name: str
    pictures: list[Path]
    captions: list[str]


def read_split(data: Path, name: str, limit: int | None = None) -> Split:
    """Read a split of the captions file, or its first pictures."""
    lines = (data / "flickr8k" / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["split"] == name][:limit]
    if any(len(row["captions"]) != CAPTIONS for row in rows):
        raise SystemExit(f"{data}: every picture needs {CAPTIONS} captions")
    return Split(
        name,
        [data / "flickr8k" / "images" / row["filename"] for row in rows],
        [caption for row in rows for caption in row["captions"]],
    )


class WordTable:
    """The words of all captions of a split, standardised, in bfloat16 to save memory."""

    def __init__(self, flat: torch.Tensor, lengths: torch.Tensor) -> None:
        self.flat, self.lengths = flat, lengths
        self.starts = lengths.cumsum(0) - lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def padded(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``[n, L, D]`` with zeros as padding, and the mask ``[n, L]``."""
        lengths = self.lengths[rows]
        places = torch.arange(int(lengths.max()))
        mask = places < lengths[:, None]
        flat = (self.starts[rows][:, None] + places).clamp(max=len(self.flat) - 1)
        return self.flat[flat] * mask[:, :, None], mask


def picture_shards(split: Split, view: int, folder: Path, tower: PictureTower) -> list[Path]:
    """Cache a view of every picture: view 0 is whole, the others are random crops.

    Half of the crops are mirrored. A picture's crop depends on its name and the view alone.
    """

    def make(start: int) -> Shard:
        paths = split.pictures[start : start + SHARD]
        cells = [tower.grid(_pixels(path, view)[None])[0].astype(np.float16) for path in paths]
        return {"cells": np.stack(cells)}

    return _shards(folder, f"{split.name}-view{view}", len(split.pictures), make)


def word_shards(split: Split, folder: Path, tower: TextTower) -> list[Path]:
    """Cache the words of every caption."""

    def make(start: int) -> Shard:
        words = tower.words(split.captions[start : start + SHARD])
        flat = np.concatenate([each.joined for each in words]).astype(np.float16)
        return {"words": flat, "lengths": np.array([len(each.text) for each in words])}

    return _shards(folder, f"{split.name}-words", len(split.captions), make)


def load_cells(shards: Sequence[Path], scale: Standardise) -> torch.Tensor:
    """Return ``[N, cells, features]`` bfloat16, standardised."""
    return torch.cat([_scaled(load_file(shard)["cells"], scale) for shard in shards])


def load_words(shards: Sequence[Path], scale: Standardise) -> WordTable:
    """Return the words of all captions, standardised."""
    parts = [load_file(shard) for shard in shards]
    flat = torch.cat([_scaled(part["words"], scale) for part in parts])
    return WordTable(flat, torch.from_numpy(np.concatenate([part["lengths"] for part in parts])))


def load_meanings(shards: Sequence[Path]) -> torch.Tensor:
    """Return ``[captions, 384]`` unit rows: the mean of each caption's contextual word vectors."""
    means = []
    for shard in shards:
        part = load_file(shard)
        starts = np.cumsum(part["lengths"]) - part["lengths"]
        contextual = part["words"][:, WIDTH:].astype(np.float32)
        means.append(np.add.reduceat(contextual, starts, axis=0) / part["lengths"][:, None])
    return functional.normalize(torch.from_numpy(np.concatenate(means)).float(), dim=-1)


def measure(scale: Standardise, shards: Sequence[Path], feature: str, floor: float) -> None:
    """Set mean and spread from the shards; the floor keeps features that never fire small."""
    count, total, squares = 0, 0.0, 0.0
    for shard in shards:
        rows = load_file(shard)[feature].reshape(-1, len(scale.mean)).astype(np.float64)
        count += len(rows)
        total += rows.sum(axis=0)
        squares += (rows**2).sum(axis=0)
    mean = total / count
    scale.mean.copy_(torch.from_numpy(mean))
    scale.spread.copy_(torch.from_numpy(np.sqrt(np.maximum(squares / count - mean**2, 0)) + floor))


@torch.inference_mode()
def _scaled(rows: NDArray[np.float16], scale: Standardise) -> torch.Tensor:
    scaled: torch.Tensor = scale(torch.from_numpy(rows).float())
    return scaled.bfloat16()


def _shards(folder: Path, name: str, count: int, make: Callable[[int], Shard]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)

    def shard(start: int) -> Path:
        path = folder / f"{name}-{start:05d}.safetensors"
        if not path.exists():
            partial = path.with_suffix(".partial")
            save_file(make(start), partial)
            partial.replace(path)
            logger.info("%s: %d of %d", name, min(start + SHARD, count), count)
        return path

    # One torch thread a worker: small models gain nothing from more, and lose by waiting.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as workers:
            return list(workers.map(shard, range(0, count, SHARD)))
    finally:
        torch.set_num_threads(threads)


def _pixels(path: Path, view: int) -> NDArray[np.float32]:
    with Image.open(path) as file:
        picture = file.convert("RGB")
    if view == 0:
        return to_pixels(picture)
    chance = np.random.default_rng([view, zlib.crc32(path.name.encode())])
    pixels = to_pixels(picture, _crop(*picture.size, chance))
    return np.ascontiguousarray(pixels[:, ::-1]) if chance.random() < 0.5 else pixels


def _crop(
    width: int, height: int, chance: np.random.Generator
) -> tuple[float, float, float, float]:
    """Return a box of half to all of the area, its sides stretched by at most e^0.125."""
    area, stretch = chance.uniform(0.5, 1.0), np.exp(chance.uniform(-0.25, 0.25))
    wide, high = min(1.0, np.sqrt(area * stretch)), min(1.0, np.sqrt(area / stretch))
    left, top = chance.uniform(0.0, 1.0 - wide), chance.uniform(0.0, 1.0 - high)
    return left * width, top * height, (left + wide) * width, (top + high) * height
