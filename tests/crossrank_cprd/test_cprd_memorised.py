"""The measure of how well teachers know their training split."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
import toys.cprd as toys

RESEARCH = Path(__file__).parents[2] / "research"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the script as a module."""
    monkeypatch.syspath_prepend(str(RESEARCH))
    return importlib.import_module("cprd_memorised")


@pytest.fixture
def part(example: Any) -> Any:
    """Return eight toy pictures, each with its first caption."""
    images, texts, owners = toys.split()
    data = importlib.import_module("cprd_data")
    return example.first_captions(data.Split("train", images, texts, owners.numpy()), 8)


def test_each_picture_keeps_its_first_caption(part: Any) -> None:
    images, texts, _ = toys.split()
    assert part.images.ids == images.ids[:8]
    assert part.texts.ids == texts.ids[: 8 * toys.CAPTIONS : toys.CAPTIONS]
    assert part.owners.tolist() == list(range(8))


def test_recalls_are_those_of_a_loop(example: Any, part: Any) -> None:
    stage = cr.Stage(toys.Hidden(), fusion=cr.Replace())
    found = example.recalls(part, 5, {"hidden": stage})
    for name, feature in (("base", "embedding"), ("hidden", "truth")):
        hits = 0
        for row in range(len(part.texts)):
            own = part.images["embedding"] @ part.texts["embedding"][row]
            listed = np.argsort(-own, kind="stable")[:5]
            values = part.images[feature][listed] @ part.texts[feature][row]
            hits += int(listed[values.argmax()] == row)
        assert found[name] == pytest.approx(100 * hits / len(part.texts))


def test_recalls_follow_the_owners(example: Any, part: Any) -> None:
    elsewhere = dataclasses.replace(part, owners=np.full(8, 99))
    assert set(example.recalls(elsewhere, 5, {}).values()) == {0.0}
