"""Candidates that cannot be scored: refused, kept below the others, or dropped."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import CrossrankError, ImageError, InputError, ParameterError
from toys.basic import DotReranker, ToyEncoder

COLORS = ("red", "green", "blue")


@pytest.fixture(autouse=True)
def registered() -> None:
    cr.register(DotReranker)
    cr.register(ToyEncoder)


@pytest.fixture
def mixed(tmp_path: Path) -> list[Any]:
    """Return good pictures at places 1, 3 and 7, and one of each kind of trouble."""
    good = []
    for color in COLORS:
        good.append(tmp_path / f"{color}.png")
        Image.new("RGB", (40, 40), color).save(good[-1])
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "late.png")
    late = tmp_path / "late.png"
    late.write_bytes(late.read_bytes()[:3000])
    (tmp_path / "empty.png").write_bytes(b"")
    return [
        *(tmp_path / "gone.png", good[0], None, good[1], tmp_path / "empty.png"),
        *("a text", late, good[2], ""),
    ]


REASONS = {
    0: "is not a file",
    2: "cannot rank a NoneType",
    4: "zero bytes",
    5: "a candidate of text among those of image",
    6: "is damaged",
    8: "empty text",
}


def call(candidates: list[Any], **options: Any) -> cr.Ranking:
    return cr.rerank("red", candidates, "dot", encoder="toy", **options)


def test_by_default_the_first_trouble_is_an_error(mixed: list[Any]) -> None:
    with pytest.raises(CrossrankError):
        call(mixed)
    with pytest.raises(ImageError, match=r"late\.png is damaged"):
        call([mixed[1], mixed[6]])
    with pytest.raises(InputError, match=r"mix image, text.*on_item='keep'"):
        call([mixed[1], "a text"])


def test_dropped_ones_are_as_if_they_had_not_been_given(mixed: list[Any]) -> None:
    ranking = call(mixed, on_item="drop")
    alone = call([mixed[1], mixed[3], mixed[7]])
    assert [(hit.id, hit.score, hit.base_rank) for hit in ranking] == [
        (hit.id, hit.score, hit.base_rank) for hit in alone
    ]
    assert {hit.index for hit in ranking} == {1, 3, 7}
    assert [mixed[hit.index] for hit in ranking] == [Path(hit.id) for hit in ranking]


def test_kept_ones_stand_below_in_base_order_and_say_why(mixed: list[Any]) -> None:
    ranking = call(mixed, on_item="keep")
    assert sorted(hit.index for hit in ranking) == list(range(9))
    assert [hit.index for hit in ranking][3:] == [0, 2, 4, 5, 6, 8]
    assert [hit.rank for hit in ranking] == list(range(1, 10))
    assert {hit.index: hit.base_rank for hit in ranking} == {n: n + 1 for n in range(9)}
    scores = [hit.score for hit in ranking]
    assert scores == sorted(scores, reverse=True)
    assert scores[2] > scores[3]
    for hit in ranking:
        if hit.index in REASONS:
            assert REASONS[hit.index] in hit.trace[0].note
            assert (hit.trace[0].stage, hit.trace[0].score) == ("dot", None)
        else:
            assert hit.trace[0].score == hit.score
    assert ranking[3].id == str(mixed[0])
    assert ranking[4].id == "2"
    alone = call([mixed[1], mixed[3], mixed[7]])
    assert scores[:3] == [hit.score for hit in alone]


def test_kept_ones_follow_their_base_scores(mixed: list[Any]) -> None:
    base = [0.1, 0.5, 0.9, 0.2, 0.3, 0.8, 0.7, 0.6, 0.4]
    ranking = call(mixed, on_item="keep", base_scores=base)
    assert [hit.index for hit in ranking][3:] == [2, 5, 6, 8, 4, 0]
    assert all(hit.base_score == base[hit.index] for hit in ranking)
    assert [hit.base_rank for hit in sorted(ranking, key=lambda hit: -base[hit.index])] == list(
        range(1, 10)
    )
    with pytest.raises(InputError, match="9 candidates and 3 scores"):
        call(mixed, on_item="keep", base_scores=[1.0, 2.0, 3.0])
    dropped = call(mixed, on_item="drop", base_scores=base)
    assert {hit.index: hit.base_score for hit in dropped} == {1: 0.5, 3: 0.2, 7: 0.6}


@pytest.mark.parametrize("top_k", [1, 3, 4, 9, 20])
def test_cut_lists_begin_as_the_whole_one_does(mixed: list[Any], top_k: int) -> None:
    whole = call(mixed, on_item="keep")
    cut = call(mixed, on_item="keep", top_k=top_k)
    assert [hit.index for hit in cut] == [hit.index for hit in whole][:top_k]


def test_a_threshold_cuts_kept_ones_too(mixed: list[Any]) -> None:
    whole = call(mixed, on_item="keep")
    for hit in whole:
        cut = call(mixed, on_item="keep", score_threshold=hit.score)
        assert [each.index for each in cut] == [e.index for e in whole if e.score >= hit.score]


def test_nothing_can_be_scored(tmp_path: Path) -> None:
    gone = [tmp_path / "a.png", tmp_path / "b.png"]
    ranking = call(gone, on_item="keep", base_scores=[1.0, 2.0])
    assert [(hit.index, hit.score) for hit in ranking] == [(1, 2.0), (0, 1.0)]
    assert "not a file" in ranking[0].trace[0].note
    plain = call(gone, on_item="keep")
    assert [(hit.index, hit.score) for hit in plain] == [(0, -1.0), (1, -2.0)]
    assert len(call(gone, on_item="drop")) == 0
    assert len(call([], on_item="keep")) == 0


def test_many_queries_each_with_its_own_trouble(mixed: list[Any], tmp_path: Path) -> None:
    lists = [mixed, [mixed[1]], [tmp_path / "gone.png"], [mixed[6], mixed[3]]]
    many = cr.rerank_many(["red"] * 1 + ["a", "b", "c"], lists, "dot", encoder="toy",
                          on_item="keep", top_k=5)  # fmt: skip
    for query, values in zip(["red", "a", "b", "c"], lists, strict=True):
        alone = cr.rerank(query, values, "dot", encoder="toy", on_item="keep", top_k=5)
        found = many.values()[["red", "a", "b", "c"].index(query)]
        assert [(h.index, h.rank, h.base_rank) for h in found] == [
            (h.index, h.rank, h.base_rank) for h in alone
        ]
        assert [h.trace[0].note for h in found] == [h.trace[0].note for h in alone]


def test_rankings_with_kept_ones_are_rankings(mixed: list[Any], tmp_path: Path) -> None:
    many = cr.rerank_many(["red", "blue"], [mixed, mixed[:4]], "dot", encoder="toy",
                          on_item="keep")  # fmt: skip
    many.save(tmp_path / "r.safetensors")
    again = cr.Rankings.open(tmp_path / "r.safetensors")
    assert again == many
    assert [h.trace for h in again["1"]] == [h.trace for h in many["1"]]
    assert pickle.loads(pickle.dumps(many["1"])) == many["1"]
    assert [h.trace for h in many.take([1])["1"]] == [h.trace for h in many["1"]]
    json.dumps([hit.to_dict() for hit in many["0"]])
    assert list(many.to_run()["0"])[:2] == list(many["0"].ids[:2])
    assert many.scores("dot").shape == many.scores().shape


def test_ids_that_the_gallery_does_not_have() -> None:
    gallery = cr.encode("toy", [cr.Item(f"t{n}", text) for n, text in enumerate(("a", "b", "c"))])
    kept = cr.rerank("a", gallery, "dot", ids=["x", "t2", 7, "t0"], on_item="keep")
    assert [(hit.id, hit.index) for hit in kept][2:] == [("x", 0), ("7", 2)]
    assert "no text with the id 'x'" in kept[2].trace[0].note
    dropped = cr.rerank("a", gallery, "dot", ids=["x", "t2", "t0"], on_item="drop")
    assert sorted(hit.index for hit in dropped) == [1, 2]


def test_a_policy_that_is_none() -> None:
    with pytest.raises(ParameterError, match="on_item is 'skip'; give one of raise, keep, drop"):
        call(["a"], on_item="skip")
    with pytest.raises(ParameterError, match="modality is 'video'"):
        call(["a"], modality="video")


def test_str_are_pictures_where_it_is_said(mixed: list[Any]) -> None:
    paths = [str(mixed[1]), mixed[3].as_uri()]
    ranking = call(paths, modality="image")
    assert [hit.index for hit in ranking] == [h.index for h in call([mixed[1], mixed[3]])]
    assert str(mixed[1]) in ranking.ids
    with pytest.raises(InputError, match="looks like a file"):
        call(paths)
