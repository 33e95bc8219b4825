"""What the model card says is about the heads that ship."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from crossrank_lite.encoder import HEADS

FOLDER = HEADS.parent
CARD = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / "figures.json").read_text(encoding="utf-8"))
    return loaded


def test_the_heads_are_small() -> None:
    assert HEADS.stat().st_size <= 4_000_000


def test_the_figures_are_of_this_file(figures: dict[str, Any]) -> None:
    digest = hashlib.blake2b(HEADS.read_bytes(), digest_size=16).hexdigest()
    assert figures["heads"] == {"blake2b": digest, "bytes": HEADS.stat().st_size}
    assert digest in CARD


def test_the_card_gives_the_measured_figures(figures: dict[str, Any]) -> None:
    rows = re.findall(r"^\| (\w+) (\w+) (\w+) \|([^\n]+)\|$", CARD, flags=re.MULTILINE)
    told = {
        f"{split} {direction} {system} R@{cut}": float(value)
        for split, direction, system, values in rows
        for cut, value in zip((1, 5, 10), values.split("|"), strict=True)
    }
    measured = {
        f"{split} {name}": round(value, 1)
        for split in ("val", "test")
        for name, value in figures[split].items()
    }
    assert told == measured


def test_the_card_names_terms_seed_and_command() -> None:
    for said in ("non-commercial", "seed 0", "python research/train_lite.py", "Apache-2.0"):
        assert said in CARD


def test_the_heads_are_as_good_as_the_project_promises(figures: dict[str, Any]) -> None:
    test = figures["test"]
    assert test["t2i base R@1"] >= 22
    assert test["i2t base R@1"] >= 27
    for direction in ("t2i", "i2t"):
        assert test[f"{direction} fused R@1"] >= test[f"{direction} base R@1"] + 2
