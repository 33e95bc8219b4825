"""The drop-in call over a stored gallery: only queries are encoded, candidates go by id or row."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import (
    CrossrankError,
    FeatureMismatchError,
    InputError,
    MissingFeatureError,
    UnknownIdError,
    UnknownPluginError,
)
from toys.basic import DotReranker, ToyEncoder

TEXTS = ["a cat", "a dog", "two dogs", "a bird", "dogs and cats"]


class Counting(ToyEncoder):
    """Says how many items it was given."""

    info = cr.EncoderInfo(name="counting", summary="", features=ToyEncoder.info.features)
    seen = 0

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        type(self).seen += len(items)
        return super().encode_batch(items, modality, features)


@pytest.fixture(autouse=True)
def registered() -> None:
    for plugin in (Counting, ToyEncoder, DotReranker):
        cr.register(plugin)


@pytest.fixture
def gallery() -> cr.Collection:
    items = [cr.Item(f"t{n}", text) for n, text in enumerate(TEXTS)]
    return cr.encode("counting", items)


def scores(ranking: cr.Ranking) -> dict[str, float]:
    return {hit.id: hit.score for hit in ranking}


def test_only_the_query_is_encoded(gallery: cr.Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counting, "seen", 0)
    ranking = cr.rerank("a dog that nobody asked for", gallery, "dot")
    assert Counting.seen == 1
    assert sorted(ranking.ids) == sorted(gallery.ids)


def test_a_stored_gallery_scores_as_loose_items_do(gallery: cr.Collection) -> None:
    loose = cr.rerank("a dog", [cr.Item(f"t{n}", t) for n, t in enumerate(TEXTS)], "dot",
                      encoder="counting")  # fmt: skip
    assert scores(cr.rerank("a dog", gallery, "dot")) == pytest.approx(scores(loose))


@pytest.mark.parametrize(
    "ids", [["t3", "t1", "t2"], [3, 1, 2], ["t3", 1, "t2"], np.array([3, 1, 2]), ("t3", "t1", 2)]
)
def test_candidates_by_id_or_row(gallery: cr.Collection, ids: Any) -> None:
    ranking = cr.rerank("a dog", gallery, "dot", ids=ids)
    assert sorted(ranking.ids) == ["t1", "t2", "t3"]
    # the place in the caller's list, and the base order is that of the list
    assert {hit.id: hit.index for hit in ranking} == {"t3": 0, "t1": 1, "t2": 2}
    assert {hit.id: hit.base_rank for hit in ranking} == {"t3": 1, "t1": 2, "t2": 3}


def test_base_scores_belong_to_the_ids(gallery: cr.Collection) -> None:
    ranking = cr.rerank("a dog", gallery, "dot", ids=["t3", "t1"], base_scores=[0.5, 2.0])
    assert {hit.id: hit.base_score for hit in ranking} == {"t3": 0.5, "t1": 2.0}
    assert {hit.id: hit.base_rank for hit in ranking} == {"t3": 2, "t1": 1}
    assert {hit.id: hit.index for hit in ranking} == {"t3": 0, "t1": 1}


def test_the_same_as_the_pipeline_of_the_same_lists(gallery: cr.Collection) -> None:
    queries = cr.encode("counting", ["a dog", "a cat"])
    base = cr.Candidates.from_lists(
        [["t0", "t1", "t4"], ["t2", "t0"]],
        scores=[[1.0, 2.0, 0.0], [0.1, 0.2]],
        query_ids=["0", "1"],
        candidate_ids=gallery.ids,
    )
    pipe = cr.Pipeline([cr.Stage("dot")])
    expected = pipe.rerank(base, queries, gallery)
    for given in (["a dog", "a cat"], queries):
        found = cr.rerank_many(
            given,
            gallery,
            "dot",
            ids=[["t0", "t1", "t4"], ["t2", "t0"]],
            base_scores=[[1.0, 2.0, 0.0], [0.1, 0.2]],
        )
        assert found.to_run() == expected.to_run()
        assert found.base_run() == expected.base_run()
        assert [hit.index for hit in found["1"]] == [
            ["t2", "t0"].index(hit.id) for hit in expected["1"]
        ]


def test_a_gallery_on_disk_opens_no_picture(tmp_path: Path) -> None:
    paths = []
    for color in ("red", "green", "blue"):
        paths.append(tmp_path / f"{color}.png")
        Image.new("RGB", (4, 4), color).save(paths[-1])
    cr.encode("toy", paths, out=tmp_path / "gallery")
    for path in paths:
        path.unlink()
    gallery = cr.Collection.open(tmp_path / "gallery")
    ranking = cr.rerank("red", gallery, "dot", ids=[paths[2], str(paths[0])])
    assert sorted(ranking.ids) == sorted([str(paths[0]), str(paths[2])])


def test_one_named_twice_is_two_hits(gallery: cr.Collection) -> None:
    ranking = cr.rerank("a dog", gallery, "dot", ids=["t1", "t3", "t1", 1])
    assert sorted(hit.index for hit in ranking) == [0, 1, 2, 3]
    assert [hit.id for hit in ranking] == ["t1", "t1", "t1", "t3"]
    assert [hit.index for hit in ranking] == [0, 2, 3, 1]
    assert len({hit.score for hit in ranking if hit.id == "t1"}) == 1
    scored = cr.rerank("a dog", gallery, "dot", ids=["t1", "t1"], base_scores=[1.0, 2.0])
    assert [(hit.index, hit.base_score) for hit in scored] == [(1, 2.0), (0, 1.0)]


def test_loose_ones_named_twice_are_two_hits_and_a_run_takes_the_better() -> None:
    item = cr.Item("x", text="a dog")
    rankings = cr.rerank_many(
        ["a dog"],
        [[cr.Item("y", text="zzz"), item, item]],
        "dot",
        encoder="toy",
        base_scores=[[0.0, 1.0, 5.0]],
    )
    assert [(hit.id, hit.index) for hit in rankings["0"]] == [("x", 2), ("x", 1), ("y", 0)]
    assert rankings.to_run()["0"]["x"] == rankings["0"][0].score
    assert rankings.base_run()["0"]["x"] == 5.0
    with pytest.raises(cr.errors.DuplicateIdError, match="twice"):
        cr.Candidates.from_run({"q": {"x": 1.0}}).__class__.from_lists({"q": ["x", "x"]})


def test_places_survive_saving_and_taking(gallery: cr.Collection, tmp_path: Path) -> None:
    rankings = cr.rerank_many(["a dog", "a cat"], gallery, "dot", ids=[[3, 1], [4, 2, 0]])
    rankings.save(tmp_path / "r.safetensors")
    again = cr.Rankings.open(tmp_path / "r.safetensors")
    assert again == rankings
    assert [h.index for h in again.take([1])["1"]] == [h.index for h in rankings["1"]]


def test_no_ids_at_all_is_an_empty_ranking(gallery: cr.Collection) -> None:
    assert len(cr.rerank("a dog", gallery, "dot", ids=[])) == 0
    many = cr.rerank_many(["a dog", "a cat"], gallery, "dot", ids=[[], ["t1"]])
    assert [len(each) for each in many.values()] == [0, 1]


@pytest.mark.parametrize(
    ("kind", "message", "ids"),
    [
        (UnknownIdError, r"has no text with the id 'x', which query '0' asks for", ["t1", "x"]),
        (UnknownIdError, r"no 'a', 'b', 'c' and 1 more", ["a", "b", "c", "d"]),
        (UnknownIdError, "did you mean 't1'", ["tt1"]),
        (UnknownIdError, "the gallery has 5 rows and no row 5", [5]),
        (UnknownIdError, "no row -1 .*a search left empty", [0, -1]),
        (InputError, "an id is a str", [True]),
        (InputError, "an id is a str", [1.0]),
        (InputError, "an id is a str", [["t1"]]),
        (InputError, "an id is a str", [None]),
        (InputError, "the ids are one text, 't1'", "t1"),
        (InputError, "the ids are a dict", {"t1": 1.0}),
        (InputError, "the ids are 7", 7),
    ],
)
def test_ids_that_are_not_there_are_named(
    gallery: cr.Collection, kind: type[CrossrankError], message: str, ids: Any
) -> None:
    with pytest.raises(kind, match=message):
        cr.rerank("a dog", gallery, "dot", ids=ids)


def test_what_does_not_fit_is_refused_before_encoding(
    gallery: cr.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counting, "seen", 0)
    cases: list[tuple[type[CrossrankError], str, dict[str, Any]]] = [
        (InputError, "3 candidates and 1 scores", {"ids": [0, 1, 2], "base_scores": [1.0]}),
        (InputError, "top_k", {"top_k": 0}),
        (InputError, "on_error is 'drop'", {"on_error": "drop"}),
        (InputError, "threads", {"threads": 0}),
        (InputError, "dtype is 'float8'", {"dtype": "float8"}),
        (InputError, "no base scores", {"fusion": "weighted"}),
        (FeatureMismatchError, "encoded by 'counting:.*would be by 'toy:", {"encoder": "toy"}),
    ]
    for kind, message, options in cases:
        with pytest.raises(kind, match=message):
            cr.rerank("a dog", gallery, "dot", **options)
    with pytest.raises(InputError, match="2 queries, but 1 lists of ids"):
        cr.rerank_many(["a", "b"], gallery, "dot", ids=[[1]])
    with pytest.raises(InputError, match="ids choose among the items of a stored gallery"):
        cr.rerank("a dog", ["x"], "dot", encoder="toy", ids=[0])
    with pytest.raises(InputError, match="collection of 5; use rerank_many"):
        cr.rerank(gallery, gallery, "dot")
    assert Counting.seen == 0


def test_a_gallery_whose_encoder_is_not_here() -> None:
    made = cr.Collection(["a"], "text", encoder="gone:0123456789abcdef", embedding=np.eye(1, 8))
    with pytest.raises(UnknownPluginError, match="encoded by 'gone', which is not installed"):
        cr.rerank("a dog", made, "dot")


def test_an_encoder_that_builds_on_the_gallerys_own(gallery: cr.Collection) -> None:
    class Built(ToyEncoder):
        info = cr.EncoderInfo(name="built", summary="", features=ToyEncoder.info.features)

        def __init__(self) -> None:
            super().__init__()
            self.base = Counting()

    assert len(cr.rerank("a dog", gallery, "dot", encoder=Built())) == 5
    assert len(cr.rerank("a dog", gallery, "dot", encoder=Counting)) == 5
    with pytest.raises(InputError, match="3 is neither an encoder's name nor an Encoder"):
        cr.rerank("a dog", gallery, "dot", encoder=3)  # type: ignore[arg-type]


def test_a_gallery_made_by_hand_is_taken_at_its_word() -> None:
    made = cr.Collection(["a", "b"], "text", encoder="mine", embedding=np.eye(2, 8))
    assert len(cr.rerank("a dog", made, "dot", encoder="toy")) == 2
    short = cr.Collection(["a", "b"], "text", embedding=np.eye(2, 3))
    with pytest.raises(FeatureMismatchError, match="rows of"):
        cr.rerank("a dog", short, "dot", encoder="toy")


def test_a_feature_the_gallery_lacks_is_named(gallery: cr.Collection) -> None:
    class Boxed(DotReranker):
        info = cr.RerankerInfo(name="boxed", summary="", candidate_features=("boxes",))

    with pytest.raises(MissingFeatureError, match="'boxes' of the gallery"):
        cr.rerank("a dog", gallery, Boxed)
