"""What the model card says is about the weights that ship."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from crossrank_lite_itm.network import load_network
from crossrank_lite_itm.parameters import SHIPPED

CARD = SHIPPED.with_name("MODEL_CARD.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    path = SHIPPED.with_name("figures.json")
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def test_the_weights_are_small() -> None:
    assert SHIPPED.stat().st_size <= 12_000_000


def test_the_figures_are_of_this_file(figures: dict[str, Any]) -> None:
    digest = hashlib.blake2b(SHIPPED.read_bytes(), digest_size=16).hexdigest()
    assert figures["weights"] == {"blake2b": digest, "bytes": SHIPPED.stat().st_size}
    assert digest in CARD
    assert len(figures["training"]["seeds"]) == load_network(SHIPPED).sizes.members


def test_the_card_gives_the_measured_figures(figures: dict[str, Any]) -> None:
    rows = re.findall(r"^\| (val|test) (t2i|i2t) (\S+) \|([^\n]+)\|$", CARD, flags=re.MULTILINE)
    assert len(rows) >= 12
    for split, direction, system, values in rows:
        for cut, value in zip((1, 5, 10), values.split("|"), strict=True):
            assert figures[split][f"{direction} {system} R@{cut}"] == float(value)


def test_the_card_names_terms_and_command() -> None:
    for said in ("non-commercial", "python examples/train_lite_itm.py", "Apache-2.0"):
        assert said in CARD


def test_a_pipeline_gains_what_the_project_promises(figures: dict[str, Any]) -> None:
    """By itself it keeps the promise of 3 points in t2i only; the card says so."""
    test = figures["test"]
    assert test["t2i base+lite_itm@32 R@1"] >= round(test["t2i base R@1"] + 3, 2)
    for direction in ("t2i", "i2t"):
        best = test[f"{direction} base+filip+mack+lite_itm@32 R@1"]
        assert best >= round(test[f"{direction} base R@1"] + 5, 2)
    assert "i2t gain over the base" in CARD
