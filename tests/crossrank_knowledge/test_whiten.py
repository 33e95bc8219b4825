"""Whitening against its definition, and banks whose map is not square."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError, ParameterError
from crossrank_knowledge import KnowledgeBank, refine, sharpened, whitened
from crossrank_knowledge.vectors import region_vectors
from toys.mack import naive


def world(seed: int = 0, size: int = 6, pictures: int = 200) -> tuple[KnowledgeBank, cr.Collection]:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(size, size)) * np.linspace(0.2, 5, size)[:, None]
    cells = (rng.normal(size=(pictures * 3, size)) @ mixing + 4).astype(np.float32)
    bank = KnowledgeBank(
        [f"w{n}" for n in range(9)], cells[:9], np.arange(9, 0, -1), mean=cells.mean(0), encoder="e"
    )
    regions = cr.Ragged(cells, [3] * pictures)
    return bank, cr.Collection(map(str, range(pictures)), "image", encoder="e", regions=regions)


def test_whitened_regions_have_unit_covariance() -> None:
    bank, images = world()
    white = whitened(bank, images, 6, shrinkage=0)
    assert white.weight is not None and white.parent == bank.fingerprint()
    mapped = images["regions"].flat.astype(np.float64) @ white.weight
    np.testing.assert_allclose(np.cov(mapped.T, bias=True), np.eye(6), atol=1e-3)
    np.testing.assert_allclose(white.prototypes, bank.prototypes @ white.weight, atol=1e-5)
    np.testing.assert_allclose(white.mean, bank.mean @ white.weight, atol=1e-5)


@pytest.mark.parametrize("shrinkage", [0.0, 0.5])
def test_the_strongest_axes_are_kept_and_shrunk_as_defined(shrinkage: float) -> None:
    bank, images = world()
    white = whitened(bank, images, 2, shrinkage)
    assert white.size == 2 and white.region_size == 6
    assert white.weight is not None
    values = np.linalg.eigvalsh(np.cov(images["regions"].flat.astype(np.float64).T, bias=True))
    kept = values[::-1][:2]
    variances = np.var(images["regions"].flat.astype(np.float64) @ white.weight, axis=0)
    expected = kept / (kept + shrinkage * kept.mean())
    np.testing.assert_allclose(variances, expected, rtol=1e-3)


@pytest.mark.parametrize("shrinkage", [0.0, 0.1])
def test_an_axis_without_spread_is_dropped(shrinkage: float) -> None:
    bank, images = world()
    flat = np.array(images["regions"].flat)
    flat[:, 2] = 7
    constant = images.with_features(regions=cr.Ragged(flat, [3] * 200))
    white = whitened(bank, constant, 6, shrinkage)
    assert white.weight is not None
    lengths = np.linalg.norm(white.weight, axis=0)
    assert (lengths > 1e-3).sum() == 5 and lengths.min() == 0
    np.testing.assert_allclose(white.weight[2], 0, atol=1e-5)
    flat[:] = 1
    same = images.with_features(regions=cr.Ragged(flat, [3] * 200))
    with pytest.raises(InputError, match="all the same"):
        whitened(bank, same, 6, shrinkage)


def test_mack_scores_a_whitened_bank_by_the_formula(tmp_path: Path) -> None:
    bank, images = world(pictures=5)
    whitened(bank, images, 3).save(tmp_path / "white")
    white = KnowledgeBank.open(tmp_path / "white")
    assert white.region_size == 6 and white.weight is not None
    concepts: list[list[tuple[str, str | None]]] = [
        [("w1", None), ("w4", "w2")],
        [("w8", None)],
    ]
    texts = cr.Collection(["a", "b"], "text", concepts=concepts)
    plain = KnowledgeBank(white.words, white.prototypes, white.counts, mean=white.mean)
    for direction, (queries, gallery) in {"t2i": (texts, images), "i2t": (images, texts)}.items():
        lists = cr.Candidates.from_lists(
            [list(gallery.ids)] * len(queries), query_ids=queries.ids, candidate_ids=gallery.ids
        )
        stage = cr.Stage("mack", fusion=cr.Replace(), params={"knowledge": white, "center": True})
        scores = cr.Pipeline([stage]).rerank(lists, queries, gallery).to_similarity()
        for row in range(len(queries)):
            for column in range(len(gallery)):
                text, image = (row, column) if direction == "t2i" else (column, row)
                regions = images["regions"][image] @ white.weight
                expected = naive(plain, concepts[text], regions, direction, 1, True)
                assert scores[row, column] == pytest.approx(expected, abs=1e-5)


def test_a_whitened_bank_can_be_refined_and_sharpens_in_its_space() -> None:
    pytest.importorskip("torch")
    bank, images = world()
    white = whitened(bank, images, 4)
    refined = refine(white, images, steps=3, words=4, regions=16, every=1, learning_rate=0.01)
    assert refined.weight is not None and refined.weight.shape == (6, 4)
    assert refined.parent == white.fingerprint()
    cells = images["regions"][0]
    cosines = white.unit_prototypes(center=True)[2] @ region_vectors(white, cells, True).T
    [(word, feature)] = sharpened(white, [(["w2", "unknown"], cells)], keep=1)
    assert word == "w2"
    np.testing.assert_array_equal(feature, cells[cosines.argmax()])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size is 0; give an integer from 1 to 6"),
        ({"size": 7}, "size is 7"),
        ({"size": True}, "size is True"),
        ({"size": 2, "shrinkage": -1}, "shrinkage is -1"),
        ({"size": 2, "shrinkage": float("nan")}, "shrinkage is nan"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        whitened(*world(), **options)


def test_bad_pictures() -> None:
    bank, images = world()
    other = cr.Collection("a", "image", regions=cr.Ragged(np.ones((2, 3)), [2]))
    with pytest.raises(FeatureMismatchError, match="regions of 6 dimensions, those of the images"):
        whitened(bank, other, 2)
    foreign = cr.Collection(images.ids, "image", encoder="f", regions=images["regions"])
    with pytest.raises(FeatureMismatchError, match="built with e, the images were encoded with f"):
        whitened(bank, foreign, 2)
    one = cr.Collection("a", "image", regions=cr.Ragged(np.ones((1, 6)), [1]))
    with pytest.raises(InputError, match="1 regions"):
        whitened(bank, one, 2)
    spoilt = np.array(images["regions"].flat)
    spoilt[7, 1] = np.inf
    with pytest.raises(InputError, match="not all finite"):
        whitened(bank, images.with_features(regions=cr.Ragged(spoilt, [3] * 200)), 2)


def test_a_weight_must_lead_to_the_prototypes() -> None:
    assert KnowledgeBank(["a"], [[1.0, 2.0]], weight=np.ones((5, 2))).region_size == 5
    for weight in (np.ones((2, 5)), np.ones(2), np.ones((0, 2))):
        with pytest.raises(InputError, match="weight has shape"):
            KnowledgeBank(["a"], [[1.0, 2.0]], weight=weight)
    with pytest.raises(InputError, match="weight is not finite"):
        KnowledgeBank(["a"], [[1.0, 2.0]], weight=[[1.0, np.nan]])
