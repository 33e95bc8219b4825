"""MACK by torch on a device, against the naive formula and against the processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossrank as cr
from crossrank.errors import BudgetError, ParameterError
from crossrank.plugin import torch_device as devices
from crossrank.testing import check_reranker
from crossrank_knowledge import KnowledgeBank
from crossrank_mack.device_kernel import best_of_images_on
from crossrank_mack.reranker import MackReranker
from crossrank_mack.similarity import ConceptVectors, best_of_groups, similarities
from toys.device import DEVICES, HERE, on_device
from toys.mack import naive, random_bank, random_images, random_texts, raw


def lists_of(queries: cr.Collection, gallery: cr.Collection) -> cr.Candidates:
    return cr.Candidates.from_lists(
        [list(gallery.ids)] * len(queries), query_ids=queries.ids, candidate_ids=gallery.ids
    )


def everything(
    queries: cr.Collection, gallery: cr.Collection, device: str, **options: Any
) -> np.ndarray[Any, Any]:
    """The raw scores of every pair."""
    return raw(lists_of(queries, gallery), queries, gallery, device=device, **options)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    direction=st.sampled_from(["t2i", "i2t"]),
    mode=st.sampled_from(["auto", "t2i", "i2t"]),
    k_max=st.integers(1, 3),
    center=st.booleans(),
    prototypes=st.sampled_from([None, "max", "mean"]),
    chunk=st.sampled_from([1, 2000, 1 << 28]),
)
def test_every_pair_equals_the_naive_formula(
    device: str,
    seed: int,
    direction: str,
    mode: str,
    k_max: int,
    center: bool,
    prototypes: str | None,
    chunk: int,
) -> None:
    rng = np.random.default_rng(seed)
    bank = random_bank(rng, clusters=prototypes is not None)
    texts, images = random_texts(rng, 5), random_images(rng, 4)
    queries, gallery = (texts, images) if direction == "t2i" else (images, texts)
    chosen = {"mode": mode, "k_max": k_max, "center": center, "prototypes": prototypes or "max"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "CHUNK_BYTES", chunk)
        found = everything(queries, gallery, device, knowledge=bank, **chosen)
    pooling = direction if mode == "auto" else mode
    for text in range(len(texts)):
        for image in range(len(images)):
            concepts, regions = texts["concepts"][text], images["regions"][image]
            expected = naive(bank, concepts, regions, pooling, k_max, center, prototypes or "max")
            place = (text, image) if direction == "t2i" else (image, text)
            if expected is None:
                assert np.isnan(found[place])
            else:
                assert found[place] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("k", [1, 10])
def test_larger_shapes_equal_the_processor(
    device: str, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(k)
    lengths = rng.integers(1, 82, 50)
    regions, vectors = (
        np.asarray(rng.normal(size=(count, 64)) / 8, np.float32) for count in (lengths.sum(), 300)
    )
    concepts = ConceptVectors(vectors, np.arange(300))
    monkeypatch.setattr(devices, "CHUNK_BYTES", 1 << 20)
    found = best_of_images_on(device, regions, lengths, concepts, k)
    here = best_of_groups(similarities(regions, concepts), lengths, k)
    np.testing.assert_allclose(found, here, atol=1e-5)


def bank(size: int = 6) -> KnowledgeBank:
    return random_bank(np.random.default_rng(8), size)


@pytest.mark.parametrize("mode", ["t2i", "i2t"])
def test_the_promises(mode: str) -> None:
    words = ("dog", "cat", "ball", "boat", "tree", "horse", "child", "street", "red", "wet", "old")
    known = KnowledgeBank(words, np.random.default_rng(0).normal(size=(len(words), 24)))
    for check in check_reranker(on_device(MackReranker), knowledge=known, mode=mode, k_max=2):
        check()


@pytest.mark.parametrize("mode", ["t2i", "i2t"])
def test_no_device_takes_what_does_not_fit(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    monkeypatch.setattr(devices, "fits", lambda work: False)
    with pytest.raises(BudgetError, match="mack: the device 'cpu:0' has not enough memory"):
        everything(
            random_texts(rng, 3, empty=False),
            random_images(rng, 3, empty=False),
            HERE,
            knowledge=bank(),
            mode=mode,
        )


def test_the_tables_of_two_devices_are_kept_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    texts, images = random_texts(rng, 4), random_images(rng, 5)
    here = everything(texts, images, "cpu", cache_folder=tmp_path, knowledge=bank())
    for count in (2, 2):
        found = everything(texts, images, HERE, cache_folder=tmp_path, knowledge=bank())
        np.testing.assert_allclose(found, here, atol=1e-6)
        assert len(list(tmp_path.glob("mack-*.npy"))) == count


def test_a_device_that_is_not_there_is_not_ignored() -> None:
    rng = np.random.default_rng(2)
    with pytest.raises(ParameterError, match=r"mack: torch cannot use the device 'nonsense'"):
        everything(random_texts(rng, 2), random_images(rng, 2), "nonsense", knowledge=bank())
