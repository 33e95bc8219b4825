"""The reranker ``hosa`` against the definition, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError, ParameterError
from crossrank.testing import make_collection
from crossrank_hosa.bases import factorise, reconstruction
from crossrank_hosa.folding import to_fourier
from crossrank_hosa.scoring import score_pairs
from toys.hosa_oracle import cosines, score, unit

SIZES = {"tokens": 48, "embedding": 48}
IMAGES = make_collection("image", 6, dimensions=SIZES)
TEXTS = make_collection("text", 5, dimensions=SIZES)
SIDES = {"t2i": (TEXTS, IMAGES), "i2t": (IMAGES, TEXTS)}


def everything(queries: cr.Collection, gallery: cr.Collection) -> cr.Candidates:
    return cr.Candidates.from_lists(
        {id: list(gallery.ids) for id in queries.ids}, candidate_ids=gallery.ids
    )


def scored(
    queries: cr.Collection, gallery: cr.Collection, cache: Path | None = None, **params: Any
) -> NDArray[Any]:
    pipeline = cr.Pipeline(cr.Stage("hosa", fusion=cr.Replace(), params=params))
    rankings = pipeline.rerank(everything(queries, gallery), queries, gallery, cache_folder=cache)
    return rankings.to_similarity()


def expected(queries: cr.Collection, gallery: cr.Collection, **params: Any) -> NDArray[Any]:
    return np.array(
        [
            [
                score(
                    queries["tokens"][asked],
                    gallery["tokens"][listed],
                    (queries["embedding"][asked], gallery["embedding"][listed]),
                    **params,
                )
                for listed in range(len(gallery))
            ]
            for asked in range(len(queries))
        ]
    )


@pytest.mark.parametrize("direction", SIDES)
@pytest.mark.parametrize("fold", [1, 2, 3, 4])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_scores_are_those_of_the_definition(direction: str, fold: int, reduction: str) -> None:
    params: dict[str, Any] = {"beta": 0.7, "gamma": 0.3, "ridge": 0.2, "reduction": reduction}
    found = scored(*SIDES[direction], fold=fold, **params)
    np.testing.assert_allclose(found, expected(*SIDES[direction], n3=fold, **params), atol=2e-6)


@pytest.mark.parametrize("direction", SIDES)
def test_each_term_can_be_left_out(direction: str) -> None:
    for beta, gamma in ((0, 1.0), (1.0, 0), (0, 0), (-0.5, 0)):
        found = scored(*SIDES[direction], beta=beta, gamma=gamma, ridge=0.5)
        wanted = expected(*SIDES[direction], beta=beta, gamma=gamma, n3=2, ridge=0.5)
        np.testing.assert_allclose(found, wanted, atol=2e-6)
    bare = [side.take(range(len(side)), ["tokens"]) for side in SIDES[direction]]
    scored(bare[0], bare[1], gamma=0)


def test_a_text_query_is_rebuilt_from_regions_and_an_image_query_from_words() -> None:
    ways = [scored(*SIDES[direction], gamma=0) for direction in ("t2i", "i2t")]
    assert np.abs(ways[0] - ways[1].T).max() > 0.1


@pytest.mark.parametrize("interaction", ["mean", "embedding"])
@pytest.mark.parametrize("direction", SIDES)
def test_the_global_vector_joins_both_sides_as_one_more_token(
    direction: str, interaction: str
) -> None:
    def joined(collection: cr.Collection) -> cr.Collection:
        parts = [unit(each) for each in collection["tokens"]]
        wholes = [each.mean(axis=0, keepdims=True) for each in parts]
        if interaction == "embedding":
            wholes = [each[None] for each in collection["embedding"]]
        rows = [np.concatenate([p, unit(w)]) for p, w in zip(parts, wholes, strict=True)]
        return collection.with_features(tokens=cr.Ragged.from_list(rows))

    found = scored(*SIDES[direction], interaction=interaction)
    queries, gallery = SIDES[direction]
    by_hand = scored(joined(queries), joined(gallery))
    np.testing.assert_allclose(found, by_hand, atol=2e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), st.data())
def test_filters_rebuild_as_the_definition_does(
    regions: int, words: int, fold: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    ridge = data.draw(st.sampled_from([0.0, 0.05, 3.0]))
    size = (regions + 2) * fold
    listed, asked = (unit(rng.normal(size=(count, size))) for count in (regions, words))
    coordinates = to_fourier(listed, fold)
    np.testing.assert_allclose(coordinates @ coordinates.T, listed @ listed.T, atol=1e-12)
    filters = factorise(coordinates, fold, ridge)
    found = reconstruction(filters, to_fourier(asked, fold), fold)
    np.testing.assert_allclose(found, cosines(asked, listed, fold, ridge), atol=1e-9)
    shuffled = factorise(coordinates[rng.permutation(regions)], fold, ridge)
    again = reconstruction(shuffled, to_fourier(asked, fold), fold)
    np.testing.assert_allclose(again, found, atol=1e-9)


def test_long_lists_of_tokens_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scored(TEXTS, IMAGES)
    monkeypatch.setattr("crossrank_hosa.scoring.SCRATCH_ROWS", 7)
    np.testing.assert_allclose(scored(TEXTS, IMAGES), whole, atol=1e-6)


def test_no_pairs_no_scores() -> None:
    none = np.zeros(0, np.int64)
    ragged = cr.Ragged(np.zeros((2, 2, 4), np.float32), [2])
    assert score_pairs(cr.Ragged(np.zeros((1, 4)), [1]), ragged, none, none, 2).rebuilt.shape == (
        0,
    )


def test_zero_tokens_agree_with_nothing() -> None:
    empty = np.array(IMAGES["tokens"].flat)
    empty[: int(IMAGES["tokens"].lengths[0])] = 0
    images = IMAGES.with_features(tokens=cr.Ragged(empty, IMAGES["tokens"].lengths))
    np.testing.assert_array_equal(scored(TEXTS, images, gamma=0)[:, 0], 0)
    assert np.isfinite(scored(images, TEXTS, gamma=0)).all()


def test_the_cache_is_used_and_follows_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scored(TEXTS, IMAGES, tmp_path)
    scored(TEXTS, IMAGES, tmp_path, ridge=0.3)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr("crossrank_hosa.gallery.factorise", None)
    np.testing.assert_array_equal(scored(TEXTS, IMAGES, tmp_path), first)
    np.testing.assert_array_equal(scored(TEXTS, IMAGES, tmp_path, beta=0.5).shape, first.shape)


def test_a_damaged_cache_file_is_made_again(tmp_path: Path) -> None:
    first = scored(TEXTS, IMAGES, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(scored(TEXTS, IMAGES, tmp_path), first)


def test_a_small_budget_changes_nothing() -> None:
    pipeline = cr.Pipeline(cr.Stage("hosa", fusion=cr.Replace()))
    small = pipeline.rerank(everything(TEXTS, IMAGES), TEXTS, IMAGES, memory_budget=1 << 14)
    np.testing.assert_allclose(small.to_similarity(), scored(TEXTS, IMAGES), atol=1e-6)


@pytest.mark.parametrize("direction", SIDES)
def test_evidence_shares_the_reconstruction_among_the_parts(direction: str) -> None:
    queries, gallery = SIDES[direction]
    stage = cr.Stage("hosa", params={"beta": 1.0, "gamma": 0.0, "ridge": 0.2})
    asked, listed = queries.ids[4], gallery.ids[4]
    (evidence,) = cr.Pipeline(stage).explain(queries, gallery, asked, [listed])["hosa"]
    json.dumps(evidence.to_dict(), allow_nan=False)
    tokens = queries["tokens"][4], gallery["tokens"][4]
    weights = np.array([link.weight for link in evidence.links])
    shares = weights.reshape(len(tokens[0]), len(tokens[1]))
    wanted = cosines(unit(tokens[0]), unit(tokens[1]), 2, 0.2)
    np.testing.assert_allclose(shares.sum(axis=1), wanted, atol=1e-6)
    assert evidence.score == pytest.approx(
        scored(queries, gallery, beta=1.0, gamma=0.0, ridge=0.2)[4, 4], abs=1e-5
    )
    words, boxes = ("query", "candidate_box") if direction == "t2i" else ("candidate", "query_box")
    assert {getattr(link, words) for link in evidence.links} == set(TEXTS["token_text"][4])
    found = {getattr(link, boxes) for link in evidence.links}
    assert found == {tuple(map(float, box)) for box in IMAGES["token_boxes"][4]}


def test_evidence_names_the_global_vector() -> None:
    stage = cr.Stage("hosa", params={"interaction": "mean"})
    (evidence,) = cr.Pipeline(stage).explain(TEXTS, IMAGES, TEXTS.ids[0], [IMAGES.ids[0]])["hosa"]
    last = evidence.links[-1]
    assert (last.query, last.candidate, last.candidate_box) == ("global", "global", None)


def test_degenerate_folds_are_refused_with_the_valid_ones() -> None:
    with pytest.raises(ParameterError, match=r"fold=5 does not divide 48.*of 1, 2, 3, 4, 6"):
        scored(TEXTS, IMAGES, fold=5)
    with pytest.raises(
        ParameterError, match=r"n1 = 6 for 6 tokens.*rebuild anything.*1, 2, 3, 4, 6"
    ):
        scored(TEXTS, IMAGES, fold=8)
    with pytest.raises(ParameterError, match=r"n1 = 8 for 8 tokens of a candidate text"):
        scored(IMAGES, TEXTS, fold=6)
    few = make_collection("image", 6, dimensions={"tokens": 6})
    with pytest.raises(ParameterError, match="no fold fits"):
        scored(make_collection("text", 2, dimensions={"tokens": 6}), few, fold=1)


def test_what_it_refuses() -> None:
    tokens = IMAGES["tokens"]
    twice = np.array(tokens.flat)
    twice[int(tokens.offsets[4]) + 1] = twice[int(tokens.offsets[4])]
    doubled = IMAGES.with_features(tokens=cr.Ragged(twice, tokens.lengths))
    with pytest.raises(InputError, match=rf"{IMAGES.ids[4]}.*singular; give ridge > 0"):
        scored(TEXTS, doubled, ridge=0.0)
    assert np.isfinite(scored(TEXTS, doubled, ridge=0.1)).all()
    broken = np.array(tokens.flat)
    broken[int(tokens.offsets[3])] = np.nan
    with pytest.raises(InputError, match=f"{IMAGES.ids[3]}' is not finite"):
        scored(TEXTS, IMAGES.with_features(tokens=cr.Ragged(broken, tokens.lengths)))
    lengths = np.array([0, tokens.lengths[0] + tokens.lengths[1], *tokens.lengths[2:]])
    empty = IMAGES.with_features(tokens=cr.Ragged(tokens.flat, lengths))
    for sides in ((TEXTS, empty), (empty, TEXTS)):
        with pytest.raises(InputError, match=f"image '{IMAGES.ids[0]}' has no token"):
            scored(*sides)
    with pytest.raises(FeatureMismatchError, match="same encoder"):
        scored(TEXTS, make_collection("image", 6))
    short = [make_collection(side, 6, dimensions={"tokens": 48}) for side in ("text", "image")]
    with pytest.raises(FeatureMismatchError, match="interaction='mean'"):
        scored(short[0], short[1], interaction="embedding")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"beta": float("nan")}, "beta is nan"),
        ({"gamma": "1"}, "gamma is '1'"),
        ({"ridge": -0.1}, "ridge is -0.1"),
        ({"fold": 0}, "fold is 0"),
        ({"fold": 2.0}, "fold is 2.0"),
        ({"reduction": "max"}, "reduction is 'max'; give one of mean, sum"),
        ({"interaction": "sum"}, "interaction is 'sum'"),
        ({"heads": 3}, "heads is 3; give a path, or None"),
    ],
)
def test_parameters_are_checked(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        cr.Stage("hosa", params=params)
