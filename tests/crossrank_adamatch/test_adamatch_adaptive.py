"""The reranker with a trained network: promises, scores, boxes, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import crossrank as cr
from crossrank.errors import (
    CrossrankError,
    FeatureMismatchError,
    InputError,
    ParameterError,
    StoreError,
)
from crossrank.testing import check_reranker, make_collection
from crossrank_adamatch import AdaMatch, AdaMatchReranker, Sizes, load_network, save_network
from toys.adamatch import GRIDS, naive_score, pictures
from toys.rounding import assert_same_sums

SIZES = Sizes(cell=6, word=20, map=8, patch=8, hidden=8, dim=8, offsets=4)
TEXTS = make_collection("text", 6)
PLAIN = pictures(7)
RAW = np.random.default_rng(3).normal(size=(len(PLAIN["tokens"].flat), 6)).astype(np.float32)
PICTURES = PLAIN.take(range(7), ["embedding", "tokens", "token_boxes", "text"]).with_features(
    regions=cr.Ragged(RAW, PLAIN["tokens"].lengths)
)


def network(sizes: Sizes = SIZES) -> AdaMatch:
    """Return a network whose boxes differ, and whose norms have seen something."""
    torch.manual_seed(0)
    made = AdaMatch(sizes)
    torch.nn.init.normal_(made.patches.choose.weight, std=0.5)
    made.look(torch.randn(9, 3, 3, sizes.cell))
    made.read(torch.randn(50, sizes.word))
    return made.eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("adamatch") / "small.safetensors"
    save_network(network(), path)
    return path


@pytest.mark.parametrize("turned", [False, True])
def test_promises(weights: Path, turned: bool) -> None:
    sides = {"queries": TEXTS, "gallery": PICTURES}
    if turned:
        sides = {"queries": PICTURES, "gallery": TEXTS}
    for check in check_reranker(AdaMatchReranker, **sides, weights=weights):
        check()


def scores(queries: cr.Collection, gallery: cr.Collection, **params: Any) -> Any:
    everything = {each: list(gallery.ids) for each in queries.ids}
    direction = f"{queries.modality[0]}2{gallery.modality[0]}"
    lists = cr.Candidates.from_lists(everything, candidate_ids=gallery.ids, direction=direction)
    device = params.pop("device", "cpu")
    rankings = cr.Pipeline(cr.Stage("adamatch", fusion=cr.Replace(), params=params)).rerank(
        lists, queries, gallery, device=device
    )
    placed = np.empty((len(queries), len(gallery)))
    np.put_along_axis(placed, rankings.index, rankings.scores("adamatch"), axis=1)
    return placed


def seen(weights: Path) -> tuple[list[Any], list[Any], list[Any]]:
    """Apply the network item by item, in float64."""
    exact = load_network(weights).double()
    patches, boxes = [], []
    for cells, grid in zip(PICTURES["regions"], GRIDS, strict=True):
        map = torch.from_numpy(cells).double().view(1, *grid, -1)
        tokens, placed = exact.look(map)
        patches.append(tokens[0].numpy())
        boxes.append(placed[0].numpy())
    return (
        patches,
        boxes,
        [exact.read(torch.from_numpy(w).double()).numpy() for w in TEXTS["words"]],
    )


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_words_are_compared_with_adaptive_patches(weights: Path, device: str) -> None:
    patches, _, words = seen(weights)
    expected = [[naive_score(said, each) for each in patches] for said in words]
    turned = [[naive_score(each, said) for said in words] for each in patches]
    # some hundred roundings in a network of this size, whose norms divide by about one
    for found, exact in (
        (scores(TEXTS, PICTURES, weights=weights, device=device), expected),
        (scores(PICTURES, TEXTS, weights=str(weights), device=device), turned),
    ):
        assert_same_sums(found, np.array(exact), 2000, 2.0)


def test_the_boxes_are_the_evidence_also_within_a_crop(weights: Path) -> None:
    pipeline = cr.Pipeline(cr.Stage("adamatch", params={"weights": weights}))
    patches, boxes, words = seen(weights)
    half = PICTURES.with_features(
        token_boxes=cr.Ragged(PICTURES["token_boxes"].flat / 2, PICTURES["token_boxes"].lengths)
    )
    for gallery, share in ((PICTURES, 1.0), (half, 0.5)):
        (found,) = pipeline.explain(TEXTS, gallery, TEXTS.ids[1], gallery.ids).values()
        for picture, evidence in enumerate(found):
            best = (words[1] @ patches[picture].T).argmax(axis=1)
            placed = np.array([link.candidate_box for link in evidence.links])
            np.testing.assert_allclose(placed, share * boxes[picture][best], atol=1e-5)
            assert [link.query for link in evidence.links] == list(TEXTS["token_text"][1])


def test_pruning_works_on_adaptive_patches_too(weights: Path) -> None:
    patches, _, words = seen(weights)
    found = scores(TEXTS, PICTURES, weights=weights, prune=-1.0)
    expected = [[naive_score(said, each[:1]) for each in patches] for said in words]
    assert_same_sums(found, np.array(expected), 2000, 2.0)


def test_cached_patches_are_those_of_the_weights(weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    torch.manual_seed(1)
    save_network(AdaMatch(SIZES).eval(), other)
    lists = cr.Candidates.from_lists({t: list(PICTURES.ids) for t in TEXTS.ids}, direction="t2i")
    found = [
        cr.Pipeline(cr.Stage("adamatch", fusion=cr.Replace(), params={"weights": path})).rerank(
            lists, TEXTS, PICTURES, cache_folder=tmp_path / "cache"
        )
        for path in (weights, other, weights)
    ]
    assert (found[0].final == found[2].final).all()
    assert (found[0].final != found[1].final).any()
    kinds = {path.name.rpartition("-")[0] for path in (tmp_path / "cache").iterdir()}
    assert kinds == {"adamatch", "adamatch-boxes", "adamatch-words"}


def test_other_features_and_encoders_are_refused(weights: Path, tmp_path: Path) -> None:
    wider = PICTURES.with_features(regions=cr.Ragged(np.tile(RAW, 2), PICTURES["regions"].lengths))
    with pytest.raises(FeatureMismatchError, match=r"regions have size \(12,\).*\(6,\)"):
        scores(TEXTS, wider, weights=weights)
    short = TEXTS.with_features(words=cr.Ragged(TEXTS["words"].flat[:, :5], TEXTS["words"].lengths))
    with pytest.raises(FeatureMismatchError, match="words have size"):
        scores(short, PICTURES, weights=weights)
    of_lite = tmp_path / "lite.safetensors"
    save_network(network(replace(SIZES, encoder="lite:1")), of_lite)
    other = cr.Collection(
        PICTURES.ids, "image", encoder="clip:2", **{n: PICTURES[n] for n in PICTURES.features}
    )
    with pytest.raises(FeatureMismatchError, match=r"clip:2.*lite:1"):
        scores(TEXTS, other, weights=of_lite)
    scores(TEXTS, PICTURES, weights=of_lite)  # made by hand: nobody says of which encoder


def test_tokens_without_a_grid_are_refused(weights: Path) -> None:
    scattered = make_collection("image", 7, dimensions={"regions": 6})
    with pytest.raises(InputError, match="no grid"):
        scores(TEXTS, scattered, weights=weights)


def test_missing_and_damaged_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"adamatch.*train"):
        scores(TEXTS, PICTURES, weights=tmp_path / "missing.safetensors")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"{}")
    with pytest.raises(CrossrankError, match="adamatch"):
        scores(TEXTS, PICTURES, weights=broken)
    with pytest.raises(CrossrankError, match="weights"):
        scores(TEXTS, PICTURES, weights=3)


OF_TOKENS = replace(SIZES, cell=8, word=8, map=8, residual=True, cells="tokens", words="tokens")


@pytest.fixture(scope="module")
def residual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("adamatch") / "residual.safetensors"
    save_network(network(OF_TOKENS), path)
    return path


def of_eight(collection: cr.Collection) -> cr.Collection:
    """Return a collection whose tokens are unit rows of eight numbers."""
    tokens = collection["tokens"]
    rows = np.random.default_rng(len(tokens.flat)).normal(size=(len(tokens.flat), 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return collection.with_features(tokens=cr.Ragged(rows.astype(np.float32), tokens.lengths))


def test_an_image_query_looks_with_its_cells_as_they_lie(residual: Path) -> None:
    images, texts = of_eight(PICTURES), of_eight(TEXTS)
    exact = load_network(residual).double()
    read = [exact.read(torch.from_numpy(w).double()).numpy() for w in texts["tokens"]]
    naive = [
        [np.mean([max(float(c @ w) for w in words) for c in cells.astype(float)]) for words in read]
        for cells in images["tokens"]
    ]
    for chosen in ({}, {"image_queries": "cells"}):
        found = scores(images, texts, weights=residual, **chosen)
        assert_same_sums(found, np.array(naive), 8)
    moved = scores(images, texts, weights=residual, image_queries="patches")
    assert np.abs(moved - naive).max() > 1e-3


def test_the_cells_are_for_image_queries_alone(residual: Path) -> None:
    images, texts = of_eight(PICTURES), of_eight(TEXTS)
    both = [
        scores(texts, images, weights=residual, image_queries=each) for each in ("cells", "patches")
    ]
    assert np.array_equal(*both)
    asked = [
        scores(images, texts, weights=residual, mode="t2i", image_queries=each)
        for each in ("cells", "patches")
    ]
    assert np.array_equal(*asked)


def test_cells_and_words_need_a_space_in_common(weights: Path) -> None:
    with pytest.raises(ParameterError, match=r"not residual.*'patches'"):
        scores(PICTURES, TEXTS, weights=weights, image_queries="cells")


def test_promises_of_cells(residual: Path) -> None:
    sides = {"queries": of_eight(PICTURES), "gallery": of_eight(TEXTS)}
    for check in check_reranker(AdaMatchReranker, **sides, weights=residual):
        check()
