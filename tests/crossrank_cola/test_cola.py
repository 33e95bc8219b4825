"""Cola's adapter against a loop, and the reranker around it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import crossrank as cr
from crossrank.errors import FeatureMismatchError, ParameterError, StoreError
from crossrank.testing import Check, check_reranker
from crossrank_cola import FILE, MMAdapter, Sizes, load_network
from crossrank_cola.reranker import ColaReranker
from toys.cola import SIZES, adapter, collection, naive_score, saved

WEIGHTS = saved(Path(tempfile.mkdtemp()) / "toy.safetensors")
IMAGES = collection("image", (3, 1, 6, 2, 4, 3, 5, 2))
TEXTS = collection("text", (2, 4, 1, 3, 2))


def checks() -> list[Check]:
    return [
        *check_reranker(ColaReranker, queries=TEXTS, gallery=IMAGES, weights=WEIGHTS),
        *check_reranker(ColaReranker, queries=IMAGES, gallery=TEXTS, weights=WEIGHTS),
    ]


@pytest.mark.parametrize("check", checks(), ids=str)
def test_promises(check: Callable[[], None]) -> None:
    check()


def run(queries: cr.Collection, gallery: cr.Collection) -> np.ndarray:
    lists = cr.Candidates.from_lists(
        [list(gallery.ids)] * len(queries), query_ids=queries.ids, candidate_ids=gallery.ids
    )
    stage = cr.Stage("cola", fusion=cr.Replace(), params={"weights": WEIGHTS})
    return np.asarray(cr.Pipeline(stage).rerank(lists, queries, gallery).to_similarity())


def test_the_adapter_equals_a_loop_in_float64() -> None:
    network = adapter().double()
    for image, text in ((0, 0), (1, 2), (2, 1)):
        cells, words = (
            np.asarray(of[row], np.float64)
            for of, row in ((IMAGES["regions"], image), (TEXTS["words"], text))
        )
        tokens = network.cells(torch.from_numpy(cells)), network.words(torch.from_numpy(words))
        own = [torch.ones((1, len(each)), dtype=torch.bool) for each in tokens]
        found = float(network(tokens[0][None], tokens[1][None], *own).detach())
        assert found == pytest.approx(naive_score(network, cells, words), abs=1e-12)


def test_the_reranker_equals_the_loop_whichever_side_asks() -> None:
    network = load_network(WEIGHTS)
    asked, listed = run(TEXTS, IMAGES), run(IMAGES, TEXTS)
    assert asked == pytest.approx(listed.T, abs=1e-5)
    for text in range(len(TEXTS)):
        for image in range(len(IMAGES)):
            cells, words = IMAGES["regions"][image], TEXTS["words"][text]
            expected = naive_score(network, cells.astype(float), words.astype(float))
            assert asked[text, image] == pytest.approx(expected, abs=1e-5)


def test_padding_changes_nothing() -> None:
    network = adapter().double()
    draw = torch.Generator().manual_seed(0)
    cells, words = (
        torch.randn((1, n, SIZES.dim), generator=draw, dtype=torch.float64) for n in (3, 2)
    )
    own = [torch.ones((1, n), dtype=torch.bool) for n in (3, 2)]
    plain = network(cells, words, *own)
    padded = [
        torch.cat([each, 9 * torch.ones((1, 4, SIZES.dim), dtype=torch.float64)], dim=1)
        for each in (cells, words)
    ]
    masks = [torch.cat([each, torch.zeros((1, 4), dtype=torch.bool)], dim=1) for each in own]
    found = float(network(*padded, *masks).detach())
    assert found == pytest.approx(float(plain.detach()), abs=1e-12)


def test_what_has_no_part_is_abstained_from() -> None:
    images = collection("image", (0, 3))
    lists = cr.Candidates.from_lists(
        [list(images.ids)] * len(TEXTS), query_ids=TEXTS.ids, candidate_ids=images.ids
    )
    stage = cr.Stage("cola", fusion=cr.Replace(), params={"weights": WEIGHTS})
    hits = cr.Pipeline(stage).rerank(lists, TEXTS, images)["text0"]
    assert {hit.id: hit.trace[0].score is None for hit in hits} == {"image0": True, "image1": False}


def test_evidence_is_a_cell_for_every_word() -> None:
    stage = cr.Stage("cola", fusion=cr.Replace(), params={"weights": WEIGHTS})
    (said,) = cr.Pipeline(stage).explain(TEXTS, IMAGES, "text1", ["image2"])["cola"]
    assert len(said.links) == 4 and all(0 < link.weight < 1 for link in said.links)


def test_features_of_another_encoder_are_refused(tmp_path: Path) -> None:
    other = cr.Collection(["a"], "image", regions=cr.Ragged(np.zeros((1, 3), np.float32), [1]))
    with pytest.raises(FeatureMismatchError, match="lite"):
        run(TEXTS, other)
    network = MMAdapter(Sizes(cell=7, word=5, dim=8, hidden=12, heads=2, encoder="lite:1"))
    FILE.save(network, network.sizes, tmp_path / "w.safetensors")
    stage = cr.Stage("cola", params={"weights": tmp_path / "w.safetensors"}, fusion=cr.Replace())
    lists = cr.Candidates.from_lists([["image0"]], query_ids=["x"], candidate_ids=IMAGES.ids)
    query = cr.Collection(
        ["x"], "text", encoder="lite:2", words=cr.Ragged(np.zeros((1, 5), np.float32), [1])
    )
    with pytest.raises(FeatureMismatchError, match="trained on lite:1"):
        cr.Pipeline(stage).rerank(lists, query, IMAGES)


def test_weights_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"nothing")
    lists = cr.Candidates.from_lists([["image0"]], query_ids=["text0"], candidate_ids=IMAGES.ids)
    for wrong in (path, tmp_path / "absent.safetensors"):
        stage = cr.Stage("cola", params={"weights": wrong}, fusion=cr.Replace())
        with pytest.raises(StoreError, match="train_cola"):
            cr.Pipeline(stage).rerank(lists, TEXTS, IMAGES)
    with pytest.raises(ParameterError, match="cola: weights"):
        cr.Stage("cola", params={"weights": 3})
