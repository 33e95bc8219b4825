"""What the model card says is about the weights that ship."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from crossrank_lite_itm.network import load_network
from crossrank_lite_itm.reranker import SHIPPED

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
    assert figures["training"]["last"] == load_network(SHIPPED).sizes.members


def test_the_card_gives_the_measured_figures(figures: dict[str, Any]) -> None:
    rows = re.findall(r"^\| (val|test) (t2i|i2t) (\S+) \|([^\n]+)\|$", CARD, flags=re.MULTILINE)
    assert len(rows) >= 12
    for split, direction, system, values in rows:
        for cut, value in zip((1, 5, 10), values.split("|"), strict=True):
            assert figures[split][f"{direction} {system} R@{cut}"] == float(value)


def test_the_card_names_terms_and_command() -> None:
    for said in ("non-commercial", "python research/train_lite_itm.py", "Apache-2.0"):
        assert said in CARD


def test_it_gains_what_the_docs_say(figures: dict[str, Any]) -> None:
    test = figures["test"]
    for direction, alone, whole in (("t2i", 4.9, 5.5), ("i2t", 5.0, 6.8)):
        base = test[f"{direction} base R@1"]
        assert test[f"{direction} base+lite_itm@32 R@1"] >= round(base + alone, 2)
        assert test[f"{direction} base+filip+mack+lite_itm@32 R@1"] >= round(base + whole, 2)
    assert "+5.00 (p = 0.0016)" in CARD
