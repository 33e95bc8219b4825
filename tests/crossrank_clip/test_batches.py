"""Whatever the batch, the thread or the float type: the same features."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank_clip import checkpoint as loading
from crossrank_clip.encoder import ClipEncoder
from toys.clip_oracle import FAMILIES, encode

Folder = Callable[[str], Path]
Loaded = Callable[[str], ClipEncoder]


@pytest.mark.parametrize("family", FAMILIES)
def test_features_do_not_depend_on_the_batch(
    family: str, encoder: Loaded, texts: list[cr.Item], pictures: list[cr.Item]
) -> None:
    for items, modality in ((texts, "text"), (pictures, "image")):
        together = encode(encoder(family), items, modality)
        for n, item in enumerate(items):
            alone = encode(encoder(family), [item], modality)
            np.testing.assert_allclose(alone["embedding"][0], together["embedding"][n], atol=1e-5)
            np.testing.assert_allclose(alone["tokens"][0], together["tokens"][n], atol=1e-5)


def test_texts_that_are_too_long_are_counted_and_logged(
    checkpoint: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = ClipEncoder(model=checkpoint("clip"))
    fits, long, endless = (
        cr.Item(str(count), text=" ".join(["dog"] * count)) for count in (10, 11, 10_000)
    )
    with caplog.at_level(logging.INFO, logger="crossrank_clip"):
        found = encode(encoder, [fits, long, endless], "text")
        assert encoder.cut_texts == 2
        encode(encoder, [fits], "text")
        encode(encoder, [long], "text")
    assert found["tokens"].lengths.tolist() == [10, 10, 10]
    own = [record for record in caplog.records if record.name.startswith("crossrank_clip")]
    assert [record.levelname for record in own] == ["WARNING", "INFO"]
    assert "2 of 3 texts are longer than the 12 tokens" in own[0].getMessage()
    assert "3 so far" in own[1].getMessage()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("family", ["clip", "siglip2"])
def test_half_precision_weights_give_float32_features_close_by(
    family: str,
    dtype: str,
    checkpoint: Folder,
    encoder: Loaded,
    texts: list[cr.Item],
    pictures: list[cr.Item],
) -> None:
    halved = ClipEncoder(model=checkpoint(family), dtype=dtype)
    for items, modality in ((texts, "text"), (pictures, "image")):
        half = encode(halved, items, modality)
        full = encode(encoder(family), items, modality)
        assert half["embedding"].dtype == half["tokens"].dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(half["tokens"].flat, axis=1), 1, atol=1e-6)
        assert ((half["embedding"] * full["embedding"]).sum(axis=1) > 0.99).all()
        assert np.abs(half["embedding"] - full["embedding"]).max() > 1e-6, "computed in float32"


def test_threads_share_one_model_and_give_the_same(
    checkpoint: Folder, texts: list[cr.Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    real = loading.load_checkpoint

    def counted(params: Any) -> Any:
        loads.append(threading.current_thread().name)
        return real(params)

    monkeypatch.setattr("crossrank_clip.encoder.load_checkpoint", counted)
    encoder = ClipEncoder(model=checkpoint("clip"))
    # batches of different length ask the tokenizer for different padding at the same time
    work = [*([item] for item in texts), texts[:2], texts] * 4

    def run(items: list[cr.Item]) -> Any:
        return encoder.encode_batch(items, "text", ("embedding",))["embedding"]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, work))
    assert len(loads) == 1
    for items, embedding in zip(work, found, strict=True):
        np.testing.assert_allclose(embedding, run(items), atol=1e-6)
