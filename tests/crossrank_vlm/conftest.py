"""Tiny vision–language models of three families, and collections of texts and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from toys.tiny_vlm import FAMILIES

TEXTS = ["a dog", "two cats on a red mat", "ein Baum 樹", "x"]
SIZES = [(40, 60), (60, 40), (16, 16), (30, 100)]


@pytest.fixture(scope="session", params=sorted(FAMILIES))
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("vlm") / request.param
    FAMILIES[request.param](folder)
    return folder


@pytest.fixture(scope="session")
def qwen3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vlm") / "qwen3"
    FAMILIES["qwen3_vl"](folder)
    return folder


@pytest.fixture(scope="session")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number, (width, height) in enumerate(SIZES):
        pixels = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return [str(folder / f"{number}.png") for number in range(len(SIZES))]


def texts(prefix: str = "t") -> cr.Collection:
    return cr.Collection([f"{prefix}{n}" for n in range(len(TEXTS))], "text", text=TEXTS)


def images(paths: list[str], prefix: str = "i") -> cr.Collection:
    return cr.Collection([f"{prefix}{n}" for n in range(len(paths))], "image", path=paths)


def both(paths: list[str], prefix: str = "b") -> cr.Collection:
    ids = [f"{prefix}{n}" for n in range(len(paths))]
    return cr.Collection(ids, "image+text", path=paths, text=TEXTS[::-1])


def scored(queries: cr.Collection, gallery: cr.Collection, **params: object) -> Any:
    """Return ``[queries, gallery]`` scores of ``vlm``."""
    lists = cr.Candidates.from_lists(
        {id: list(gallery.ids) for id in queries.ids}, candidate_ids=gallery.ids
    )
    stage = cr.Stage("vlm", fusion=cr.Replace(), params=params)
    return cr.Pipeline(stage).rerank(lists, queries, gallery).to_similarity()
