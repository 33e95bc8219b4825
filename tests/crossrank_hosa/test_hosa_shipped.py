"""The heads that ship: where a stage finds them, and that they are those of the model card."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import crossrank as cr
from crossrank.testing import make_collection
from crossrank_hosa.parameters import SHIPPED

pytest.importorskip("torch")

SIZES = {"tokens": 192, "embedding": 192}
SIDES = make_collection("text", 5, dimensions=SIZES), make_collection("image", 6, dimensions=SIZES)
SETTINGS = Path(__file__).parents[2] / "examples" / "settings"


def scores(stage: cr.Stage) -> np.ndarray:
    return cr.Pipeline(stage).rerank(cr.search(*SIDES, depth=6), *SIDES).to_similarity()


def test_they_have_a_name() -> None:
    by_name, by_path, without = (
        scores(cr.Stage("hosa", params={"heads": heads, "fold": 1}))
        for heads in ("lite", SHIPPED, None)
    )
    assert np.array_equal(by_name, by_path)
    assert not np.allclose(by_name, without)
    fingerprints = {
        cr.Stage("hosa", params={"heads": heads}).scorer.fingerprint() for heads in ("lite", None)
    }
    assert len(fingerprints) == 2


@pytest.mark.parametrize("name", ["hosa.heads.t2i", "hosa.heads.i2t"])
def test_published_settings_read_them(name: str) -> None:
    stage = cr.Stage.from_file(SETTINGS / f"{name}.toml", fold=1)
    assert np.isfinite(scores(stage)).any()


def test_they_are_those_of_the_card() -> None:
    card = (SHIPPED.parent / "MODEL_CARD.md").read_text(encoding="utf-8")
    content = SHIPPED.read_bytes()
    assert hashlib.blake2b(content, digest_size=16).hexdigest() in card
    assert f"{len(content):,} bytes" in card
    assert "non-commercial" in card
