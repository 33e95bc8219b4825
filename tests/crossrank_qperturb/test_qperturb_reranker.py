"""The reranker: BLIP-2's promises kept, its scores perturbed pair by pair, its evidence shown."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import crossrank as cr
import crossrank_qperturb as qperturb
from crossrank.errors import InputError, MissingFeatureError, ParameterError
from crossrank.testing import check_reranker, make_collection
from crossrank_qperturb import QPerturbReranker, perturbing
from crossrank_qperturb import reranker as module
from crossrank_qperturb.remembering import Remembered
from toys.tiny_blip2 import make_model, make_tokenizer


@cache
def tokenizer() -> Any:
    with TemporaryDirectory() as folder:
        return make_tokenizer(Path(folder))


@cache
def model() -> Any:
    return make_model()


@cache
def exact_model() -> Any:
    """Return a model in float64.

    The perturbation multiplies logits of attention by up to 1 + alpha in every layer, and rounding
    with them: in float32 and with random weights, batches differ by about 1e-5.
    """
    return make_model().double()


def texts(count: int = 3) -> cr.Collection:
    return make_collection("text", count)


def images(count: int = 4, **features: Any) -> cr.Collection:
    collection = make_collection("image", count, seed=1)
    return collection.with_features(**features) if features else collection


def boxes(*lists: Any) -> cr.Ragged:
    return cr.Ragged.from_list([np.reshape(each, (-1, 4)).astype(np.float32) for each in lists])


OBJECTS = boxes(
    [[0.1, 0.2, 0.6, 0.9], [0.5, 0.0, 1.0, 0.3]], [], [[0.0, 0.0, 1.0, 1.0]], [[0.3, 0.3, 0.3, 0.9]]
)


def rerank(
    queries: cr.Collection, gallery: cr.Collection, name: Any = "qperturb", **params: Any
) -> NDArray[np.float64]:
    """Return the scores ``[queries, gallery]`` of all pairs."""
    params = {"model": model(), "tokenizer": tokenizer(), **params}
    stage = cr.Stage(name, fusion=cr.Replace(), params=params)
    lists = cr.Candidates.from_lists(
        [list(gallery.ids)] * len(queries), query_ids=queries.ids, candidate_ids=gallery.ids
    )
    return cr.Pipeline([stage]).rerank(lists, queries, gallery).to_similarity()


@pytest.mark.parametrize(
    "check", check_reranker(QPerturbReranker, model=exact_model(), tokenizer=tokenizer()), ids=str
)
def test_qperturb_keeps_the_promises(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize(
    "check",
    check_reranker(
        QPerturbReranker,
        model=exact_model(),
        tokenizer=tokenizer(),
        score="itc",
        top_n=1,
        n_pc=2,
        weighting="half_minus_area",
        preserve_norm=True,
    ),
    ids=str,
)
def test_qperturb_keeps_the_promises_with_other_settings(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("score", ["itc", "itm", "itm+itc"])
def test_scores_are_those_of_the_models_forward_pair_by_pair(score: str) -> None:
    queries, gallery = texts(), images(boxes=OBJECTS)
    found = rerank(queries, gallery, score=score)
    backend = QPerturbReranker(model=model(), tokenizer=tokenizer()).backend(
        cr.Context(queries, gallery, cr.Candidates.from_lists([]), "t2i")
    )
    for column in range(len(gallery)):
        pixels = backend.pixels([cr.open_image(Path(gallery["path"][column]))])
        with torch.no_grad():
            embeds = model().vision_model(pixels).last_hidden_state
        perturbation = qperturb.perturbation(model(), embeds, [gallery["boxes"][column]])
        for row, text in enumerate(queries["text"]):
            words = tokenizer()(text, return_tensors="pt")
            given = (pixels, words["input_ids"], words["attention_mask"])
            expected = 0.0
            with torch.no_grad(), qperturb.perturbed(model(), perturbation):
                if "itm" in score:
                    output = model()(*given, use_image_text_matching_head=True)
                    expected += float(output.logits_per_image[0, 1])
                if "itc" in score:
                    expected += float(model()(*given).logits_per_image[0, 0])
            assert found[row, column] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("score", ["itc", "itm"])
def test_images_without_boxes_have_exactly_the_scores_of_blip2(score: str) -> None:
    queries = texts()
    plain = rerank(queries, images(), "blip2", score=score)
    found = rerank(queries, images(boxes=OBJECTS), score=score)
    np.testing.assert_array_equal(found[:, [1, 3]], plain[:, [1, 3]])
    assert (np.abs(found - plain)[:, [0, 2]] > 1e-4).all()
    none = rerank(queries, images(boxes=boxes([], [], [], [])), score=score)
    np.testing.assert_array_equal(none, plain)
    np.testing.assert_array_equal(rerank(queries, images(), score=score, alpha=0.0), plain)
    turned = rerank(images(boxes=OBJECTS), queries, score=score)
    np.testing.assert_allclose(turned.T, found, atol=1e-5)


def test_the_best_boxes_are_taken_by_score() -> None:
    scores = cr.Ragged([0.2, 0.9, 0.5, 0.1], [2, 0, 1, 1])
    found = rerank(texts(), images(boxes=OBJECTS, box_scores=scores), top_n=1)
    second = boxes([[0.5, 0.0, 1.0, 0.3]], [], [[0.0, 0.0, 1.0, 1.0]], [[0.3, 0.3, 0.3, 0.9]])
    np.testing.assert_array_equal(found, rerank(texts(), images(boxes=second)))
    every = rerank(texts(), images(boxes=OBJECTS, box_scores=scores), top_n=9)
    np.testing.assert_array_equal(every, rerank(texts(), images(boxes=OBJECTS)))


def test_every_image_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []  # images per call
    compute = perturbing.perturbation

    def counting(*args: Any, **options: Any) -> qperturb.Perturbation:
        made.append(len(args[1]))
        return compute(*args, **options)

    monkeypatch.setattr(perturbing, "perturbation", counting)
    queries, gallery = texts(6), images(boxes=OBJECTS)
    enough = rerank(queries, gallery, batch_size=3)
    assert sum(made) == 4 and len(made) < 4, "those of a batch in one go"
    monkeypatch.setattr(module, "SHARE", 1 << 40)
    none = rerank(queries, gallery, batch_size=3)
    assert sum(made) > 8
    np.testing.assert_array_equal(enough, none)


def test_memory_holds_what_the_budget_allows() -> None:
    made = qperturb.perturbation(model(), torch.zeros(1, 17, 24), [[]])
    memory = Remembered(2 * made.nbytes)
    for key in "abc":
        memory.put(key, made)
        assert memory.get("a") is made
    assert memory.get("b") is None, "not used for longest"
    assert memory.get("c") is made
    memory.clear(made.nbytes - 1)
    memory.put("d", made)
    assert memory.get("c") is None and memory.get("d") is None


def explain(queries: cr.Collection, gallery: cr.Collection, **params: Any) -> list[cr.Evidence]:
    params = {"model": model(), "tokenizer": tokenizer(), **params}
    pipeline = cr.Pipeline([cr.Stage("qperturb", params=params)])
    return list(pipeline.explain(queries, gallery, queries.ids[0], list(gallery.ids))["qperturb"])


@pytest.mark.parametrize("score", ["itc", "itm+itc"])
def test_evidence_shows_where_the_queries_look(score: str) -> None:
    labels = [["dog", "ball"], [], ["all"], ["line"]]
    gallery = images(boxes=OBJECTS, labels=labels)
    found = explain(texts(), gallery, score=score)
    assert [each.candidate_id for each in found] == list(gallery.ids)
    for evidence, names, corners in zip(found, labels, OBJECTS, strict=True):
        (plain, before), (perturbed, after) = evidence.maps
        assert (plain, perturbed) == ("attention", "perturbed attention")
        assert np.shape(before) == np.shape(after) == (4, 4)
        assert 0 < np.sum(before) < 1 and 0 < np.sum(after) < 1, "the class token has the rest"
        assert [link.candidate for link in evidence.links] == [n for n in names for _ in "xx"]
        for link, box in zip(evidence.links, np.repeat(corners, 2, axis=0), strict=True):
            assert link.candidate_box == pytest.approx(box)
    whole = found[2].links
    for link, (_, attention) in zip(whole, found[2].maps, strict=True):
        assert link.weight == pytest.approx(np.sum(attention))
    assert found[1].maps[0][1] == found[1].maps[1][1], "nothing to perturb"
    assert found[0].maps[0][1] != found[0].maps[1][1]


def test_evidence_the_other_way_round() -> None:
    gallery = images(boxes=OBJECTS).take(range(4), ("path", "boxes"))
    found = explain(gallery, texts())
    assert [link.query for link in found[0].links] == ["0", "0", "1", "1"]
    assert found[0].links[0].candidate == "attention" and found[0].links[0].query_box is not None


def test_evidence_as_a_picture(tmp_path: Path) -> None:
    gallery = images(boxes=OBJECTS, labels=[["dog", "ball"], [], ["all"], ["line"]])
    evidence = explain(texts(), gallery)[0]
    picture = cr.open_image(Path(gallery["path"][0]))
    qperturb.evidence_picture(tmp_path / "dog.png", evidence, picture)
    with Image.open(tmp_path / "dog.png") as written:
        assert written.format == "PNG" and written.width > 4 * 200
    with pytest.raises(InputError, match="no maps of qperturb"):
        qperturb.evidence_picture(tmp_path / "x.png", cr.Evidence("q", "c", 0.0), picture)


@pytest.mark.parametrize(
    ("features", "params", "message"),
    [
        ({"boxes": boxes([], [[12, 40, 200, 180]], [], [])}, {}, "box 0 of image {1}.*divide by"),
        ({"boxes": boxes([], [], [[0.5, 0, 0.4, 1]], [])}, {}, "box 0 of image {2}.*reversed"),
        ({"boxes": boxes([[0, 0, np.nan, 1]], [], [], [])}, {}, "image {0}.*not finite"),
        ({"boxes": boxes([[0, 0, 1, 1]] * 101, [], [], [])}, {}, "image {0} has 101 boxes.*top_n"),
        (
            {"boxes": OBJECTS, "box_scores": cr.Ragged([0.1, 0.2], [1, 0, 0, 1])},
            {"top_n": 1},
            "image {0} has 2 boxes and the box_scores",
        ),
        (
            {"boxes": OBJECTS, "box_scores": cr.Ragged([0.1, np.nan, 0.2, 0.3], [2, 0, 1, 1])},
            {"top_n": 1},
            "give a finite score per box",
        ),
    ],
)
def test_boxes_that_cannot_be_name_the_image(
    features: dict[str, Any], params: dict[str, Any], message: str
) -> None:
    gallery = images(**features)
    expected = message.format(*(repr(id) for id in gallery.ids))
    with pytest.raises(InputError, match=expected):
        rerank(texts(), gallery, **params)


def test_features_that_are_missing() -> None:
    gallery = images()
    bare = gallery.take(range(4), ("path",))
    with pytest.raises(MissingFeatureError, match="'boxes' of the gallery"):
        rerank(texts(), bare)
    unscored = gallery.take(range(4), ("path", "boxes"))
    with pytest.raises(MissingFeatureError, match="'box_scores' of the gallery"):
        rerank(texts(), unscored, top_n=3)
    assert rerank(texts(), unscored).shape == (3, 4)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_pc": 1.0}, "qperturb: n_pc is 1.0"),
        ({"alpha": None}, "qperturb: alpha is None"),
        ({"top_n": 0}, "qperturb: top_n is 0"),
        ({"top_n": True}, "qperturb: top_n is True"),
        ({"score": "itc+itm"}, "score is 'itc\\+itm'"),
        ({"alphas": 1}, "qperturb has no parameter 'alphas'.*did you mean 'alpha'"),
    ],
)
def test_bad_parameters(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        cr.Stage("qperturb", params=params)


def test_settings_are_part_of_the_fingerprint() -> None:
    params = {"model": model(), "tokenizer": tokenizer()}
    prints = {
        QPerturbReranker(**params, **each).fingerprint()
        for each in ({}, {"alpha": 1.0}, {"n_pc": 3}, {"top_n": 3}, {"projector": "reference_rows"})
    }
    assert len(prints) == 5
    assert QPerturbReranker(**params).fingerprint() in prints


def test_importing_the_plugin_loads_nothing_heavy() -> None:
    code = (
        "import sys, crossrank_qperturb\n"
        "heavy = {'torch', 'transformers', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "crossrank_qperturb.flickr30k_entities, crossrank_qperturb.boxes_to_input\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_torch_that_is_missing_is_named() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "import crossrank_qperturb\n"
        "from crossrank.errors import MissingPackageError\n"
        "try:\n"
        "    crossrank_qperturb.perturbation\n"
        "except MissingPackageError as error:\n"
        "    assert 'crossrank[qperturb]' in str(error), error\n"
        "else:\n"
        "    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'perturb'"):
        _ = qperturb.perturb
