"""Scores against the real classes, one pair at a time, whatever is shared between pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.plugin.contents import contents_of
from toys.vlm_oracle import Oracle, prompt, sigmoid

from .conftest import both, images, scored, texts

PRESETS = {
    "qwen3-vl": ("yes", "no", True),
    "lighton": ("Yes", "No", False),
    "mono-qwen2": ("True", "False", True),
}
SIDES = ("texts", "images", "both")


def side(kind: str, paths: list[str], prefix: str) -> cr.Collection:
    return {
        "texts": lambda: texts(prefix),
        "images": lambda: images(paths, prefix),
        "both": lambda: both(paths, prefix),
    }[kind]()


def expected(checkpoint: Path, preset: str, queries: cr.Collection, gallery: cr.Collection) -> Any:
    oracle, (yes, no, probability) = Oracle(checkpoint), PRESETS[preset]
    made = np.empty((len(queries), len(gallery)))
    asked = contents_of("test", queries, range(len(queries)))
    listed = contents_of("test", gallery, range(len(gallery)))
    for row, query in enumerate(asked):
        for column, document in enumerate(listed):
            order = (query, document) if preset != "mono-qwen2" else (document, query)
            pictures = [each.path for each in order if each.path is not None]
            text = prompt(oracle.family, preset, query, document)
            value = oracle.difference(text, pictures, yes, no)
            made[row, column] = sigmoid(value) if probability else value
    return made


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("asks", "listed"), [("texts", "images"), ("images", "texts")])
def test_scores_are_those_of_the_whole_model(
    checkpoint: Path, paths: list[str], preset: str, asks: str, listed: str
) -> None:
    queries, gallery = side(asks, paths, "q"), side(listed, paths, "c")
    found = scored(queries, gallery, model=checkpoint, preset=preset)
    np.testing.assert_allclose(found, expected(checkpoint, preset, queries, gallery), atol=2e-6)


@pytest.mark.parametrize("asks", SIDES)
@pytest.mark.parametrize("listed", SIDES)
def test_every_kind_of_item_on_either_side(
    qwen3: Path, paths: list[str], asks: str, listed: str
) -> None:
    queries, gallery = side(asks, paths, "q").take([0, 1]), side(listed, paths, "c")
    for preset in ("lighton", "mono-qwen2"):
        found = scored(queries, gallery, model=qwen3, preset=preset)
        wanted = expected(qwen3, preset, queries, gallery)
        np.testing.assert_allclose(found, wanted, atol=1e-5)  # logits of about 10
        other = scored(queries, gallery, model=qwen3, preset=preset, reuse="vision")
        np.testing.assert_allclose(found, other, atol=1e-5)


def test_a_batch_is_its_pairs_one_by_one(checkpoint: Path, paths: list[str]) -> None:
    queries, gallery = texts("q"), images(paths, "c")
    for preset in ("qwen3-vl", "mono-qwen2"):
        scores = [
            scored(queries, gallery, model=checkpoint, preset=preset, **options)
            for options in ({}, {"batch_tokens": 1}, {"reuse": "vision"}, {"reuse": "none"})
        ]
        for other in scores[1:]:
            np.testing.assert_allclose(scores[0], other, atol=1e-6)
