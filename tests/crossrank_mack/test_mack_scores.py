"""The published vectors, and the naive float64 formula on random ragged input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossrank as cr
from toys.mack import naive, random_bank, random_images, random_texts, raw, vector_bank

REGIONS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 5]], np.float32)
CONCEPTS = [("dog", None), ("ball", "red")]


def one_pair(direction: str, **params: Any) -> tuple[cr.Candidates, cr.Collection, cr.Collection]:
    text = cr.Collection(["t"], "text", concepts=[CONCEPTS])
    image = cr.Collection(["i"], "image", regions=cr.Ragged.from_list([REGIONS]))
    queries, gallery = (text, image) if direction == "t2i" else (image, text)
    lists = cr.Candidates.from_lists(
        {queries.ids[0]: list(gallery.ids)}, query_ids=queries.ids, candidate_ids=gallery.ids
    )
    return lists, queries, gallery


@pytest.mark.parametrize(
    ("direction", "k_max", "expected"),
    [("t2i", 1, 0.847213595), ("i2t", 1, 0.764809064), ("t2i", 2, 0.685410197)],
)
def test_mack_vectors(direction: str, k_max: int, expected: float) -> None:
    score = raw(*one_pair(direction), knowledge=vector_bank(), k_max=k_max)
    assert score[0, 0] == pytest.approx(expected, abs=1e-6)


def test_mack_fusion_vector() -> None:
    class Given(cr.Reranker):
        info = cr.RerankerInfo(name="given", summary="the published MACK scores")

        def score(self, block: cr.Block, state: object) -> cr.Scores:
            return cr.Scores(np.array([[0.5, 0.7, 0.9]], np.float32))

    candidates = cr.Candidates.from_similarity(
        np.array([[0.30], [0.29], [0.10]]), direction="t2i", depth=3
    )
    queries = cr.Collection(candidates.query_ids, "text")
    gallery = cr.Collection(candidates.candidate_ids, "image")
    fusion = cr.WeightedSum(0.15, "none")
    result = cr.Pipeline([cr.Stage(Given, fusion=fusion)]).rerank(candidates, queries, gallery)
    fused = {hit.index: hit.score for hit in result[queries.ids[0]]}
    assert [fused[0], fused[1], fused[2]] == pytest.approx([0.375, 0.395, 0.235], abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    direction=st.sampled_from(["t2i", "i2t"]),
    mode=st.sampled_from(["auto", "t2i", "i2t"]),
    k_max=st.integers(1, 3),
    center=st.booleans(),
    prototypes=st.sampled_from([None, "max", "mean"]),
)
def test_mack_equals_the_naive_formula(
    seed: int, direction: str, mode: str, k_max: int, center: bool, prototypes: str | None
) -> None:
    rng = np.random.default_rng(seed)
    bank = random_bank(rng, clusters=prototypes is not None)
    texts, images = random_texts(rng, 5), random_images(rng, 4)
    queries, gallery = (texts, images) if direction == "t2i" else (images, texts)
    lists = cr.Candidates.from_lists(
        [
            [gallery.ids[row] for row in rng.permutation(len(gallery))[: rng.integers(0, 5)]]
            for _ in queries.ids
        ],
        query_ids=queries.ids,
        candidate_ids=gallery.ids,
    )
    pooled = "max" if prototypes is None else prototypes
    scores = raw(
        lists,
        queries,
        gallery,
        knowledge=bank,
        mode=mode,
        k_max=k_max,
        center=center,
        prototypes=pooled,
        memory_budget=20_000,
    )
    pooling = direction if mode == "auto" else mode
    for row in range(len(queries)):
        listed = set(lists.index[row][lists.mask[row]].tolist())
        for column in range(len(gallery)):
            text, image = (row, column) if direction == "t2i" else (column, row)
            concepts, regions = texts["concepts"][text], images["regions"][image]
            expected = naive(bank, concepts, regions, pooling, k_max, center, pooled)
            if expected is None or column not in listed:
                assert np.isnan(scores[row, column])
            else:
                assert scores[row, column] == pytest.approx(expected, abs=1e-5)


def test_the_table_is_the_same_from_the_cache_and_from_scratch(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    bank, texts, images = random_bank(rng), random_texts(rng, 9), random_images(rng, 12)
    lists = cr.Candidates.from_lists(
        [list(images.ids)] * 9, query_ids=texts.ids, candidate_ids=images.ids
    )
    plain = raw(lists, texts, images, knowledge=bank)
    first = raw(lists, texts, images, knowledge=bank, cache_folder=tmp_path)
    tables = list(tmp_path.glob("mack-*.npy"))
    written = tables[0].stat().st_mtime_ns
    again = raw(lists, texts, images, knowledge=bank, cache_folder=tmp_path)
    np.testing.assert_array_equal(first, plain)
    np.testing.assert_array_equal(again, plain)
    assert len(tables) == 1 and tables[0].stat().st_mtime_ns == written
    tables[0].write_bytes(b"damaged")
    np.testing.assert_array_equal(
        raw(lists, texts, images, knowledge=bank, cache_folder=tmp_path), plain
    )
    other = raw(lists, texts, images, knowledge=bank, k_max=2, cache_folder=tmp_path)
    assert len(list(tmp_path.glob("mack-*.npy"))) == 2
    assert not np.array_equal(other, plain, equal_nan=True)


def test_a_refined_bank_maps_regions_by_its_weight() -> None:
    rng = np.random.default_rng(5)
    bank, texts = random_bank(rng), random_texts(rng, 4, empty=False)
    images = random_images(rng, 3, empty=False)
    weight = rng.normal(size=(6, 6)).astype(np.float32)
    mapped = type(bank)(
        bank.words,
        bank.prototypes @ weight,
        bank.counts,
        mean=bank.mean @ weight,
        weight=weight,
    )
    regions = images["regions"]
    by_hand = images.with_features(regions=cr.Ragged(regions.flat @ weight, regions.lengths))
    plain = type(bank)(bank.words, mapped.prototypes, bank.counts, mean=mapped.mean)
    lists = cr.Candidates.from_lists(
        [list(images.ids)] * 4, query_ids=texts.ids, candidate_ids=images.ids
    )
    for center in (False, True):
        np.testing.assert_allclose(
            raw(lists, texts, images, knowledge=mapped, center=center),
            raw(lists, texts, by_hand, knowledge=plain, center=center),
            atol=1e-5,
        )
