"""The drop-in call, as somebody with a working search makes it."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import (
    CrossrankError,
    DuplicateIdError,
    InputError,
    MissingFeatureError,
    ParameterError,
    UnknownPluginError,
)
from toys.basic import DotReranker, ToyEncoder

COLORS = ("red", "green", "blue", "white", "black")


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = []
    for color in COLORS:
        paths.append(tmp_path / f"{color}.png")
        Image.new("RGB", (6, 4), color).save(paths[-1])
    return paths


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    cr.register(DotReranker)
    cr.register(ToyEncoder)
    yield


def expected(query: str, texts: list[str]) -> list[float]:
    made = cr.encode(ToyEncoder(), [query, *texts])["embedding"]
    return [float(each @ made[0]) for each in made[1:]]


def test_texts_are_ranked_by_the_scorer(photos: list[Path]) -> None:
    texts = ["a cat", "a dog", "two dogs"]
    ranking = cr.rerank("a dog", texts, DotReranker, encoder="toy")
    scores = expected("a dog", texts)
    assert [hit.index for hit in ranking] == sorted(range(3), key=lambda n: -scores[n])
    assert [hit.id for hit in ranking] == [str(hit.index) for hit in ranking]
    best = ranking[0]
    assert (best.rank, best.base_score, best.base_rank) == (1, None, 2)
    assert best.score == pytest.approx(1.0, abs=1e-6)


def test_what_can_be_read_only_once_is_read_once(photos: list[Path]) -> None:
    once: Any = iter  # the types ask for more than is needed
    texts, scores = ["a cat", "a dog", "two dogs"], [3.0, 2.0, 1.0]
    settings: dict[str, Any] = {"reranker": DotReranker, "encoder": "toy"}
    listed = cr.rerank("a dog", texts, **settings)
    assert list(cr.rerank("a dog", once(texts), **settings)) == list(listed)
    pictures = cr.rerank(photos[0], once(photos), **settings)
    assert pictures.ids == cr.rerank(photos[0], photos, **settings).ids
    wanted = cr.rerank_many(["a dog"], [texts], base_scores=[scores], **settings)
    found = cr.rerank_many(
        once(["a dog"]), once([once(texts)]), base_scores=once([once(scores)]), **settings
    )
    assert found == wanted


@pytest.mark.parametrize("scores", [{"0": [1.0, 2.0]}, 5.0])
def test_base_scores_that_are_no_lists_are_refused(scores: Any) -> None:
    with pytest.raises(
        InputError, match=r"base scores are a (dict|float); give one list per query"
    ):
        cr.rerank_many(["q"], [["a", "b"]], DotReranker, encoder="toy", base_scores=scores)


def test_pictures_are_named_by_their_paths(photos: list[Path]) -> None:
    ranking = cr.rerank(photos[0], photos, "dot", encoder="toy", top_k=2)
    assert ranking[0].id == str(photos[0])
    assert len(ranking) == 2


def test_hits_are_plain_python_and_survive_json_and_pickle() -> None:
    ranking = cr.rerank("a dog", ["x", "y"], "dot", encoder="toy", base_scores=np.array([0, 0.5]))
    again = json.loads(json.dumps([hit.to_dict() for hit in ranking]))
    assert again[0]["trace"][0]["stage"] == "dot"
    assert {hit["base_score"] for hit in again} == {0.0, 0.5}
    assert pickle.loads(pickle.dumps(ranking)) == ranking
    assert all(type(hit.score) is float and type(hit.rank) is int for hit in ranking)


def test_base_scores_are_kept_and_fused() -> None:
    scores = [3.0, 1.0, 2.0]
    texts = ["a cat", "a dog", "two dogs"]
    alone = cr.rerank("a dog", texts, "dot", encoder="toy")
    fused = cr.rerank("a dog", texts, "dot", encoder="toy", base_scores=scores)
    assert [hit.base_score for hit in sorted(fused, key=lambda hit: hit.index)] == scores
    raw = {hit.id: hit.trace[0].score for hit in fused}
    assert raw == {hit.id: hit.score for hit in alone}
    zero = cr.rerank(
        "a dog", texts, "dot", encoder="toy", base_scores=scores, fusion=cr.WeightedSum(0.0)
    )
    assert [hit.index for hit in zero] == [0, 2, 1]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_any_number_of_candidates_gives_the_same_type(count: int) -> None:
    ranking = cr.rerank("a dog", ["x", "y"][:count], "dot", encoder="toy")
    assert isinstance(ranking, cr.Ranking)
    assert len(ranking) == count
    assert len(list(ranking)) == count


def test_a_threshold_is_inclusive_and_zero_is_a_value() -> None:
    texts = ["a cat", "a dog"]
    worst = cr.rerank("a dog", texts, "dot", encoder="toy")[1].score
    kept = cr.rerank("a dog", texts, "dot", encoder="toy", score_threshold=worst)
    assert len(kept) == 2
    above = float(np.nextafter(worst, 2))
    assert len(cr.rerank("a dog", texts, "dot", encoder="toy", score_threshold=above)) == 1
    fused = cr.rerank(
        "a dog", texts, "dot", encoder="toy", base_scores=[0.0, 0.0], score_threshold=0.0
    )
    assert [hit.score >= 0 for hit in fused] == [True]


def test_a_query_of_several_parts(photos: list[Path]) -> None:
    ranking = cr.rerank([photos[0], "dog"], ["x", "dog"], "dot", encoder="toy")
    picture = cr.encode("toy", [photos[0]])["embedding"][0]
    query, *texts = cr.encode("toy", ["dog", "x", "dog"])["embedding"]
    mean = (picture + query) / np.linalg.norm(picture + query)
    assert {hit.index: hit.score for hit in ranking} == pytest.approx(
        {n: float(text @ mean) for n, text in enumerate(texts)}, abs=1e-6
    )
    dialogue = cr.rerank(["a", "dog"], ["x", "a dog"], "dot", encoder="toy")
    assert dialogue[0].id == "1"


def test_many_queries_share_candidates_by_id(photos: list[Path]) -> None:
    rankings = cr.rerank_many(
        ["a dog", cr.Item("mine", text="a cat")], [photos, photos[:2]], "dot", encoder="toy"
    )
    assert list(rankings) == ["0", "mine"]
    assert len(rankings.candidate_ids) == len(photos)
    single = cr.rerank("a dog", photos, "dot", encoder="toy")
    assert rankings["0"].ids == single.ids
    assert [hit.score for hit in rankings["0"]] == pytest.approx([hit.score for hit in single])


def test_texts_of_many_lists_are_named_by_query_and_place() -> None:
    rankings = cr.rerank_many(["a", "b"], [["x"], ["x", "b"]], "dot", encoder="toy")
    assert rankings["1"].ids == ("1/1", "1/0")
    assert len(cr.rerank_many([], [], "dot", encoder="toy")) == 0


def test_a_whole_pipeline_can_be_the_reranker() -> None:
    pipe = cr.Pipeline([cr.Stage("dot", fusion=cr.Replace()), cr.Stage("dot", depth=1)])
    ranking = cr.rerank("a dog", ["x", "a dog"], pipe, encoder="toy")
    assert [trace.stage for trace in ranking[0].trace] == ["dot", "dot#2"]
    assert ranking[1].trace[1].score is None
    with pytest.raises(InputError, match="Pipeline"):
        cr.rerank("a dog", ["x"], pipe, encoder="toy", fusion=cr.Replace())


def test_encoders_are_built_once_between_calls() -> None:
    built = []

    class Counted(ToyEncoder):
        info = cr.EncoderInfo(name="counted", summary="", features=ToyEncoder.info.features)

        def __init__(self) -> None:
            super().__init__()
            built.append(self)

    cr.register(Counted)
    for _ in range(3):
        cr.rerank("a dog", ["x"], "dot", encoder="counted")
    assert len(built) == 1


@pytest.mark.parametrize(
    ("kind", "message", "query", "candidates", "options"),
    [
        (InputError, "use Path", "dog.jpg", ["a"], {}),
        (InputError, "use Path", "q", ["a", "dog.png"], {}),
        (InputError, "empty", " ", ["a"], {}),
        (InputError, "the candidates are one text, 'abc'; give a list", "q", "abc", {}),
        (InputError, "mix", "q", ["a", Image.new("RGB", (2, 2))], {}),
        (InputError, "2 candidates and 1 scores", "q", ["a", "b"], {"base_scores": [1.0]}),
        (InputError, "nan", "q", ["a"], {"base_scores": [float("nan")]}),
        (InputError, "top_k", "q", ["a"], {"top_k": 0}),
        (ParameterError, "score_threshold", "q", ["a"], {"score_threshold": float("nan")}),
        (DuplicateIdError, "'x'", "q", [cr.Item("x", text="a"), cr.Item("x", text="b")], {}),
        (ParameterError, "dot has no parameter 'alpha'", "q", ["a"], {"alpha": 1}),
        (UnknownPluginError, "did you mean 'dot'", "q", ["a"], {"reranker": "dott"}),
        (UnknownPluginError, "did you mean 'toy'", "q", ["a"], {"encoder": "tot"}),
        (InputError, "ambiguous", "q", [cr.Item(text="a", image="a.png")], {}),
    ],
)
def test_bad_input_is_one_clear_error(
    kind: type[CrossrankError],
    message: str,
    query: str,
    candidates: Any,
    options: dict[str, Any],
) -> None:
    given = {"reranker": "dot", "encoder": "toy", **options}
    with pytest.raises(kind, match=message) as caught:
        cr.rerank(query, candidates, **given)
    assert "\n" not in str(caught.value)


def test_a_feature_the_encoder_does_not_give_is_named() -> None:
    class Regional(DotReranker):
        info = cr.RerankerInfo(
            name="regional", summary="", query_features=("words",), candidate_features=("regions",)
        )

    with pytest.raises(MissingFeatureError, match="'toy' gives no 'regions' of texts"):
        cr.rerank("a", ["b"], Regional, encoder="toy")
