"""The reranker ``lite_itm`` in pipelines: directions, memory, evidence, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import (
    FeatureMismatchError,
    InputError,
    MissingFeatureError,
    ParameterError,
    StoreError,
)
from crossrank_lite_itm.network import LiteItm, Sizes, load_network
from crossrank_lite_itm.reranker import LiteItmReranker
from toys.device import DEVICES
from toys.lite_itm import SIZES, collection, naive_score, saved

PICTURES, TEXTS = collection("image", 9), collection("text", 7)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("weights") / "toy.safetensors")


def rerank(
    queries: cr.Collection, gallery: cr.Collection, weights: Path, **options: Any
) -> cr.Rankings:
    lists = cr.Candidates.from_lists(
        [list(gallery.ids)] * len(queries), query_ids=queries.ids, candidate_ids=gallery.ids
    )
    stage = cr.Stage("lite_itm", fusion=cr.Replace(), params={"weights": weights})
    return cr.Pipeline(stage).rerank(lists, queries, gallery, **options)


def test_scores_are_those_of_naive_loops_in_both_directions(weights: Path) -> None:
    network = load_network(weights)
    expected = [
        [
            naive_score(network, regions, words, tokens)
            for words, tokens in zip(TEXTS["words"], TEXTS["tokens"], strict=True)
        ]
        for regions in PICTURES["regions"]
    ]
    i2t = rerank(PICTURES, TEXTS, weights).to_similarity()
    t2i = rerank(TEXTS, PICTURES, weights).to_similarity()
    np.testing.assert_allclose(i2t, expected, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(t2i, np.transpose(expected), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_on_a_device_scores_as_one_without(
    device: str, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str | None] = []
    network_on = LiteItmReranker.network_on

    def recorded(self: LiteItmReranker, device: str | None) -> LiteItm:
        moved.append(device)
        return network_on(self, device)

    monkeypatch.setattr(LiteItmReranker, "network_on", recorded)
    for sides in ((PICTURES, TEXTS), (TEXTS, PICTURES)):
        here = rerank(*sides, weights).to_similarity()
        assert set(moved) == {None}
        moved.clear()
        found = rerank(*sides, weights, device=device).to_similarity()
        np.testing.assert_allclose(found, here, rtol=1e-5, atol=1e-5)
        assert len(moved) > 1 and {str(each).partition(":")[0] for each in moved} == {
            device.partition(":")[0]
        }
        moved.clear()


def test_a_device_that_is_not_there_is_not_ignored(weights: Path) -> None:
    with pytest.raises(ParameterError, match="lite_itm: torch cannot use the device 'nonsense'"):
        rerank(PICTURES, TEXTS, weights, device="nonsense")


def test_a_small_budget_changes_nothing(weights: Path) -> None:
    """What exceeds the budget lies in a temporary file."""
    free = rerank(TEXTS, PICTURES, weights).to_similarity()
    tight = rerank(TEXTS, PICTURES, weights, memory_budget=1 << 10).to_similarity()
    np.testing.assert_allclose(tight, free, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("budget", [1 << 14, 1 << 18])
def test_what_is_projected_at_a_time_follows_the_budget(
    weights: Path, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    """It was 4,096 vectors, 26 MB and more of lite's, whatever the budget."""
    rows: list[int] = []
    project_cells = LiteItm.project_cells

    def recorded(self: LiteItm, regions: Any) -> Any:
        rows.append(len(regions))
        assert regions.numpy().nbytes <= max(budget // 4, regions[0].numpy().nbytes)
        return project_cells(self, regions)

    monkeypatch.setattr(LiteItm, "project_cells", recorded)
    rerank(TEXTS, PICTURES, weights, memory_budget=budget)
    assert sum(rows) == int(PICTURES["regions"].lengths.sum())


def test_a_part_of_the_similarity_maps_at_a_time(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rerank(PICTURES, TEXTS, weights).to_similarity()
    monkeypatch.setattr("crossrank_lite_itm.scoring.MOST_ENTRIES", 1)
    monkeypatch.setattr("crossrank.plugin.torch_projection.ROWS", 2)
    parts = rerank(PICTURES, TEXTS, weights).to_similarity()
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-5)


def test_items_without_parts_are_abstained_from(weights: Path) -> None:
    lengths = np.array(PICTURES["regions"].lengths)
    kept = np.arange(lengths[0], lengths.sum())
    lengths[0] = 0
    empty = PICTURES.with_features(regions=cr.Ragged(PICTURES["regions"].flat[kept], lengths))
    rankings = rerank(TEXTS, empty, weights)
    hit = next(hit for hit in rankings[TEXTS.ids[0]] if hit.id == empty.ids[0])
    assert hit.rank == len(empty)
    assert "no regions" in str(hit.trace)


def test_evidence_names_where_each_word_looks(weights: Path) -> None:
    pictures = PICTURES.with_features(
        token_boxes=cr.Ragged(
            np.linspace(0, 1, 4 * len(PICTURES["regions"].flat)).reshape(-1, 4),
            PICTURES["regions"].lengths,
        )
    )
    pipeline = cr.Pipeline(cr.Stage("lite_itm", params={"weights": weights}))
    picture, text = pictures.ids[2], TEXTS.ids[2]
    (found,) = pipeline.explain(TEXTS, pictures, text, [picture])["lite_itm"]
    assert [link.query for link in found.links] == TEXTS["token_text"][2]
    boxes = pictures["token_boxes"][2]
    for link in found.links:
        assert link.candidate_box is not None
        assert np.isclose(boxes, link.candidate_box).all(axis=1).any()
        assert 0 < link.weight < 1
    assert sum(link.weight for link in found.links) <= 1
    score = rerank(TEXTS, pictures, weights).to_similarity()[2, 2]
    assert found.score == pytest.approx(score, rel=1e-5)
    json.dumps(found.to_dict(), allow_nan=False)
    (back,) = pipeline.explain(pictures, TEXTS, picture, [text])["lite_itm"]
    assert [link.candidate for link in back.links] == TEXTS["token_text"][2]
    assert [link.query_box for link in back.links] == [link.candidate_box for link in found.links]


def test_what_it_refuses(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFeatureError, match="words"):
        rerank(TEXTS.take(range(7), ["tokens"]), PICTURES, weights)
    with pytest.raises(MissingFeatureError, match="regions"):
        rerank(TEXTS, PICTURES.take(range(9), ["tokens"]), weights)
    wide = PICTURES.with_features(
        regions=cr.Ragged(np.ones((int(PICTURES["regions"].lengths.sum()), 11)),
                          PICTURES["regions"].lengths)
    )  # fmt: skip
    with pytest.raises(FeatureMismatchError, match=r"regions .* the weights are for \(10,\)"):
        rerank(TEXTS, wide, weights)
    odd = TEXTS.with_features(tokens=cr.Ragged(np.ones((7, 4)), [1] * 7))
    with pytest.raises(InputError, match="words but 1 tokens; encode it again"):
        rerank(odd, PICTURES, weights)
    with pytest.raises(ParameterError, match="members is 0"):
        cr.Stage("lite_itm", params={"members": 0})
    with pytest.raises(StoreError, match="cannot be read"):
        rerank(TEXTS, PICTURES, tmp_path / "absent.safetensors")


def test_features_of_another_encoder_are_refused(tmp_path: Path) -> None:
    sizes = Sizes(**{**{f: getattr(SIZES, f) for f in SIZES.__slots__}, "encoder": "lite:aa"})
    mine = saved(tmp_path / "w.safetensors", sizes)
    texts, pictures = (
        cr.Collection(
            each.ids,
            each.modality,
            encoder=encoder,
            **{name: each[name] for name in each.features},
        )
        for each, encoder in ((TEXTS, "lite:aa"), (PICTURES, "lite:bb"))
    )
    with pytest.raises(FeatureMismatchError, match=r"encoded with lite:bb, .* on lite:aa"):
        rerank(texts, pictures, mine)
    rerank(texts, PICTURES, mine)  # nothing is known of the pictures' encoder


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    one, same, other = (
        LiteItmReranker(weights=saved(tmp_path / name, seed=seed)).fingerprint()
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert one == same != other


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, crossrank_lite_itm; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
