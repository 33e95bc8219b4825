"""The encoder keeps the contract, and finds the right photograph for a caption."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import MissingPackageError, ParameterError, StoreError
from crossrank.plugin import registry
from crossrank.testing import check_encoder
from crossrank_lite.encoder import LiteEncoder
from crossrank_lite.picture_tower import CELLS, CHANNELS, cell_boxes
from crossrank_lite.text_tower import WIDTH

CAPTIONS = {
    "chelsea": "a close-up of a cat looking at the camera",
    "coffee": "a cup of coffee on a wooden table",
    "rocket": "a tall tower at night",
    "motorcycle": "a motorcycle parked in a garage",
    "flower": "a red flower in a garden",
}
IMAGE_FEATURES = LiteEncoder.info.features["image"]
TEXT_FEATURES = LiteEncoder.info.features["text"]


def pictures_of(photographs: dict[str, Image.Image]) -> list[cr.Item]:
    return [cr.Item(name, image=each) for name, each in photographs.items()]


@pytest.mark.parametrize("check", check_encoder(LiteEncoder), ids=lambda check: check.__name__)
def test_every_promise_of_an_encoder(check: object) -> None:
    assert callable(check)
    check()


def test_it_is_installed_under_its_name() -> None:
    assert registry.load_encoder("lite") is LiteEncoder
    assert "lite" in registry.providers("regions", "image")


def test_importing_it_loads_no_framework() -> None:
    code = (
        "import sys, crossrank_lite; crossrank_lite.crossrank_encoder()();"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_features_of_pictures(encoder: LiteEncoder, photographs: dict[str, Image.Image]) -> None:
    made = cr.encode(encoder, pictures_of(photographs), features=IMAGE_FEATURES)
    count = len(photographs)
    assert made["embedding"].shape[0] == count
    np.testing.assert_allclose(np.linalg.norm(made["embedding"], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(made["tokens"].flat, axis=1), 1, atol=1e-5)
    for name in ("tokens", "regions", "boxes", "token_boxes"):
        assert made[name].lengths.tolist() == [CELLS] * count
        assert made[name].dtype == np.float32
    assert made["regions"].trailing == (CHANNELS,)
    assert made["regions"].flat.min() >= 0
    assert made["regions"].flat.max() <= 6
    for name in ("boxes", "token_boxes"):
        np.testing.assert_array_equal(made[name][count - 1], cell_boxes())
    assert made["size"].tolist() == [list(each.size) for each in photographs.values()]


def test_features_of_texts(encoder: LiteEncoder) -> None:
    made = cr.encode(encoder, list(CAPTIONS.values()), features=TEXT_FEATURES)
    np.testing.assert_allclose(np.linalg.norm(made["embedding"], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(made["tokens"].flat, axis=1), 1, atol=1e-5)
    assert made["words"].trailing == (WIDTH,)
    lengths = [len(words) for words in made["token_text"]]
    assert made["tokens"].lengths.tolist() == made["words"].lengths.tolist() == lengths
    assert made["token_text"][1] == ["a", "cup", "of", "coffee", "on", "a", "wooden", "table"]


def test_what_shares_a_batch_does_not_matter(
    encoder: LiteEncoder, photographs: dict[str, Image.Image]
) -> None:
    for items, features in (
        (pictures_of(photographs), ("embedding", "tokens")),
        ([cr.Item(*pair) for pair in CAPTIONS.items()], ("embedding", "tokens")),
    ):
        one, all_at_once = (
            cr.encode(encoder, items, features=features, batch_size=size) for size in (1, 5)
        )
        np.testing.assert_allclose(one["embedding"], all_at_once["embedding"], atol=1e-5)
        np.testing.assert_allclose(one["tokens"].flat, all_at_once["tokens"].flat, atol=1e-5)


def test_captions_are_closer_to_their_photographs(
    encoder: LiteEncoder, photographs: dict[str, Image.Image]
) -> None:
    """Neither photographs nor captions are of the kind that the heads were trained on."""
    gallery = cr.encode(encoder, pictures_of(photographs))
    queries = cr.encode(encoder, [cr.Item(*pair) for pair in CAPTIONS.items()])
    base = cr.search(queries, gallery)
    found = cr.Pipeline("filip").rerank(base, queries, gallery)
    own = np.eye(len(CAPTIONS), dtype=bool)
    for scores in (queries["embedding"] @ gallery["embedding"].T, found.to_similarity()):
        assert scores[own].mean() > scores[~own].mean() + scores[~own].std()
        assert (scores.argmax(axis=1) == np.arange(len(CAPTIONS))).sum() >= 3


def test_long_texts_are_cut_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    encoder = LiteEncoder()
    with caplog.at_level(logging.WARNING):
        made = cr.encode(encoder, ["dog " * 10_000, "dog"], features=["tokens"])
    assert encoder.cut_texts == 1
    assert "1 of 2 texts are longer than the 256 word pieces" in caplog.text
    assert made["tokens"].lengths.tolist() == [254, 1]


def test_a_missing_package_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(MissingPackageError, match=r'pip install "crossrank\[lite\]"'):
        cr.encode(LiteEncoder(), [Image.new("RGB", (8, 8))])


def test_boxes_and_size_need_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    picture = [Image.new("RGB", (8, 9))]
    made = cr.encode(LiteEncoder(), picture, features=["size", "token_boxes"])
    assert made["size"].tolist() == [[8, 9]]


def test_other_heads_are_another_encoder(tmp_path: Path, encoder: LiteEncoder) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(Path(encoder.params.heads).read_bytes())
    assert LiteEncoder(heads=copy).fingerprint() == encoder.fingerprint()
    copy.write_bytes(copy.read_bytes()[:-1] + b"\0")
    assert LiteEncoder(heads=copy).fingerprint() != encoder.fingerprint()


@pytest.mark.parametrize("content", [None, b"", b"no heads at all"])
def test_heads_that_cannot_be_read_are_one_clear_error(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "heads.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=r"heads\.safetensors"):
        cr.encode(LiteEncoder(heads=path), ["a dog"])


def test_features_in_another_type_are_other_features() -> None:
    names = {LiteEncoder(text_dtype=dtype).fingerprint() for dtype in ("float32", "bfloat16")}
    assert len(names) == 2 and LiteEncoder().fingerprint() in names
    with pytest.raises(ParameterError, match="text_dtype"):
        LiteEncoder(text_dtype="float16")
    quick, plain = (
        cr.encode("lite", ["a dog on the beach"], "text", text_dtype=dtype)
        for dtype in ("bfloat16", "float32")
    )
    assert quick["embedding"].dtype == np.float32
    assert 0.99 < float(quick["embedding"][0] @ plain["embedding"][0]) < 1
