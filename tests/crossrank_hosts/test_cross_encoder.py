"""CrossEncoderLike has the shape of sentence-transformers' class."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank_hosts.cross_encoder import CrossEncoderLike

SETTINGS: dict[str, Any] = {"reranker": "dot", "encoder": "toy"}
TEXTS = ["a cat", "a dog", "two dogs"]


def scores(query: Any, candidates: list[Any]) -> list[float]:
    found = cr.rerank(query, candidates, **SETTINGS)
    return [hit.score for hit in sorted(found, key=lambda hit: hit.index)]


def test_ranks_are_in_the_shape_of_sentence_transformers() -> None:
    ranked = CrossEncoderLike(**SETTINGS).rank("a dog", TEXTS, return_documents=True, top_k=2)
    assert [list(each) for each in ranked] == [["corpus_id", "score", "text"]] * 2
    assert [type(value) for value in ranked[0].values()] == [int, float, str]
    assert ranked[0]["text"] == TEXTS[ranked[0]["corpus_id"]] == "a dog"
    assert list(CrossEncoderLike(**SETTINGS).rank("a dog", TEXTS)[0]) == ["corpus_id", "score"]


def test_predictions_are_in_the_order_of_the_pairs() -> None:
    model = CrossEncoderLike(**SETTINGS)
    pairs = [("a dog", TEXTS[0]), ("a cat", TEXTS[0]), ("a dog", TEXTS[1]), ["a dog", TEXTS[2]]]
    found = model.predict(pairs)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    assert found.shape == (4,)
    of_dog, of_cat = scores("a dog", TEXTS), scores("a cat", TEXTS)
    assert found.tolist() == pytest.approx([of_dog[0], of_cat[0], of_dog[1], of_dog[2]], abs=1e-6)
    assert model.predict(pairs, convert_to_numpy=False) == found.tolist()
    assert model.predict([]).tolist() == []


@pytest.mark.parametrize("pair", [("a dog", "a cat"), ["a dog", {"text": "a cat"}]], ids=str)
def test_one_pair_is_one_number(pair: Any) -> None:
    found = CrossEncoderLike(**SETTINGS).predict(pair)
    assert np.ndim(found) == 0
    assert float(found) == pytest.approx(scores("a dog", ["a cat"])[0])


def test_pictures_in_every_form(photos: list[Path]) -> None:
    model = CrossEncoderLike(**SETTINGS)
    expected = [hit.index for hit in cr.rerank("a dog", photos, **SETTINGS)]
    opened = [Image.open(path) for path in photos]
    for documents in (photos, [str(p) for p in photos], opened, [{"image": p} for p in photos]):
        assert [each["corpus_id"] for each in model.rank("a dog", documents)] == expected
    by_picture = [hit.index for hit in cr.rerank(photos[1], photos, **SETTINGS)]
    for query in (photos[1], str(photos[1]), {"image": opened[1]}):
        assert [each["corpus_id"] for each in model.rank(query, photos)] == by_picture
    assert np.ndim(model.predict((photos[0], photos[1]))) == 0


def test_a_missing_picture_is_an_error_as_there(photos: list[Path]) -> None:
    with pytest.raises(ValueError, match=r"none\.png"):
        CrossEncoderLike(**SETTINGS).rank("a dog", [str(photos[0]), "none.png"])


@pytest.mark.parametrize("method", ["predict", "rank"])
def test_it_takes_the_arguments_of_sentence_transformers(method: str) -> None:
    kind = pytest.importorskip("sentence_transformers").CrossEncoder
    theirs = inspect.signature(getattr(kind, method)).parameters
    ours = inspect.signature(getattr(CrossEncoderLike, method)).parameters
    by_place = [name for name, each in ours.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert by_place == list(theirs)[: len(by_place)]
    given = {name: p.default for name, p in theirs.items() if p.default is not p.empty}
    model: Any = CrossEncoderLike(**SETTINGS)
    if method == "rank":
        assert len(model.rank("a dog", TEXTS, **given)) == 3
    else:
        assert len(model.predict([("a dog", each) for each in TEXTS], **given)) == 3
