"""The plugin keeps crossrank's promises, and scores as its formula says."""

import math
from typing import Any

import pytest
from crossrank_overlap.reranker import OverlapReranker

import crossrank as cr
from crossrank.errors import ParameterError
from crossrank.testing import Check, check_reranker

QUERIES = cr.Collection(["q"], "text", text=["A red dog, on a beach!"])
GALLERY = cr.Collection(
    ["dog", "red", "both", "none", "unknown"],
    "image",
    text=["dog at home", "red car", "the red DOG", "a cat", ""],
    labels=[["dog"], ["car"], ["dog", "red ball"], ["cat"], []],
)
# of the query's words the gallery has a, red and dog: in one, two and two of five captions
A, RED, DOG = math.log(1 + 5 / 1), math.log(1 + 5 / 2), math.log(1 + 5 / 2)


@pytest.mark.parametrize("check", check_reranker(OverlapReranker))
def test_overlap_keeps_the_promises(check: Check) -> None:
    check()


@pytest.mark.parametrize("check", check_reranker(OverlapReranker, image_words="labels"))
def test_overlap_of_labels_keeps_the_promises(check: Check) -> None:
    check()


def rerank(**params: Any) -> cr.Ranking:
    candidates = cr.Candidates.from_lists({"q": GALLERY.ids})
    stage = cr.Stage(OverlapReranker, fusion=cr.Replace(), params=params)
    return cr.Pipeline(stage).rerank(candidates, QUERIES, GALLERY)["q"]


def test_scores_are_those_of_the_formula() -> None:
    found = {hit.id: hit.trace[0].score for hit in rerank()}
    whole = A + RED + DOG
    expected = {"both": RED + DOG, "dog": DOG, "red": RED, "none": A}
    for name, weight in expected.items():
        assert found[name] == pytest.approx(weight / whole, abs=1e-6)
    assert found["unknown"] is None


def test_a_picture_without_words_goes_last_and_says_why() -> None:
    last = rerank()[-1]
    assert (last.id, last.trace[0].note) == ("unknown", "no words to compare")


def test_labels_may_take_the_place_of_captions() -> None:
    assert rerank(image_words="labels")[0].id == "both"
    with pytest.raises(ParameterError, match="image_words is 'tags'"):
        rerank(image_words="tags")


def test_evidence_names_the_shared_words() -> None:
    pipe = cr.Pipeline(cr.Stage(OverlapReranker))
    (evidence,) = pipe.explain(QUERIES, GALLERY, "q", ["both"])["overlap"]
    assert [link.query for link in evidence.links] == ["dog", "red"]
