"""Scores are those of `crossrank.rerank`, whoever else is scored at the same time."""

from __future__ import annotations

import io
import math
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import crossrank as cr
from crossrank_serve import encoding
from crossrank_serve.contents import Job, job_of
from crossrank_serve.engine import Engine
from crossrank_serve.feature_cache import FeatureCache
from crossrank_serve.limits import Limits
from crossrank_serve.problems import RequestError
from crossrank_serve.records import Ask, Part, Ranked
from crossrank_serve.service import refuse_addresses
from toys.basic import DotReranker, ToyEncoder
from toys.serving import (
    BLUE,
    GREEN,
    RED,
    CountingEncoder,
    WordsReranker,
    bare,
    data_uri,
    engine,
    picture,
)

COLOURS = (RED, GREEN, BLUE)


def text(words: str) -> tuple[Part, ...]:
    return (Part(words),)


def shown(colour: Any) -> tuple[Part, ...]:
    return (Part(picture=data_uri(colour)),)


def job(
    query: tuple[Part, ...],
    *documents: tuple[Part, ...],
    scores: tuple[float, ...] | None = None,
    explain: int = 0,
) -> Job:
    return job_of(Ask(query, documents, scores), Limits(), False, explain, refuse_addresses)


def ranked(made: Engine, *jobs: Job) -> list[Ranked]:
    found = made.rank(jobs)
    assert all(isinstance(each, Ranked) for each in found), found
    return [each for each in found if isinstance(each, Ranked)]


def opened(colour: Any) -> Image.Image:
    return Image.open(io.BytesIO(picture(colour)))


def test_texts_are_ranked_as_by_the_library() -> None:
    documents = ["one word", "two", "a third document", "two"]
    (found,) = ranked(engine(), job(text("two words"), *map(text, documents)))
    right = cr.rerank("two words", documents, WordsReranker(), encoder=ToyEncoder())
    assert [hit.score for hit in found.hits] == [hit.score for hit in right]
    assert [hit.index for hit in found.hits] == [int(hit.id) for hit in right]
    assert [hit.base_rank for hit in found.hits] == [hit.base_rank for hit in right]
    assert found.tokens == 2 + 2 + 1 + 3 + 1


def test_pictures_are_ranked_as_by_the_library() -> None:
    for query, asked in ((text("red"), "red"), (shown(BLUE), opened(BLUE))):
        (found,) = ranked(engine(), job(query, *map(shown, COLOURS)))
        pictures = [opened(colour) for colour in COLOURS]
        right = cr.rerank(asked, pictures, WordsReranker(), encoder=ToyEncoder())
        assert [(hit.index, hit.score) for hit in found.hits] == [
            (int(hit.id), hit.score) for hit in right
        ]


def test_a_query_of_two_parts() -> None:
    (found,) = ranked(engine(), job((Part(picture=data_uri()), Part("red")), *map(shown, COLOURS)))
    right = cr.rerank(
        [opened(RED), "red"],
        [opened(colour) for colour in COLOURS],
        WordsReranker(),
        encoder=ToyEncoder(),
    )
    assert [hit.score for hit in found.hits] == [hit.score for hit in right]


def test_base_scores_fuse_as_the_stage_says() -> None:
    stage = cr.Stage(WordsReranker(), fusion=cr.WeightedSum(0.5))
    documents, scores = ["a b", "b", "c d e"], (3.0, 2.0, 1.0)
    made = engine(stage)
    (found,) = ranked(made, job(text("b c"), *map(text, documents), scores=scores))
    right = cr.rerank(
        "b c", documents, cr.Pipeline([stage]), encoder=ToyEncoder(), base_scores=scores
    )
    assert [hit.score for hit in found.hits] == [hit.score for hit in right]
    assert [hit.base_score for hit in found.hits] == [hit.base_score for hit in right]
    # without base scores the stage's own score is the score, as in the drop-in call
    (found,) = ranked(made, job(text("b c"), *map(text, documents)))
    right = cr.rerank("b c", documents, WordsReranker(), encoder=ToyEncoder())
    assert [hit.score for hit in found.hits] == [hit.score for hit in right]


def test_stages_follow_one_another() -> None:
    stages = cr.Stage(WordsReranker()), cr.Stage(DotReranker(), depth=2)
    documents = ["a b", "b", "c d e", "e"]
    (found,) = ranked(engine(*stages), job(text("b c"), *map(text, documents)))
    pipeline = cr.Pipeline([cr.Stage(WordsReranker(), fusion=cr.Replace()), stages[1]])
    right = cr.rerank("b c", documents, pipeline, encoder=ToyEncoder())
    assert [hit.score for hit in found.hits] == [hit.score for hit in right]
    assert [len(hit.trace) for hit in found.hits] == [2] * 4


words = st.text("abcde ", min_size=1, max_size=8).filter(str.strip)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(words, st.lists(words, min_size=1, max_size=5)), min_size=1, max_size=6))
def test_jobs_that_are_scored_together_do_not_notice(asked: list[tuple[str, list[str]]]) -> None:
    jobs = [job(text(query), *map(text, documents)) for query, documents in asked]
    jobs.append(job(text("a"), *map(shown, COLOURS)))
    made = engine()
    together = ranked(made, *jobs)
    for each, found in zip(jobs, together, strict=True):
        (alone,) = ranked(engine(), each)
        scores = {hit.index: hit.score for hit in alone.hits}
        assert scores == pytest.approx({hit.index: hit.score for hit in found.hits}, abs=1e-5)


def test_each_content_is_encoded_once() -> None:
    encoder = CountingEncoder()
    made = engine(encoder=encoder)
    again = job(text("a"), text("b"), text("b"), text("a"))
    ranked(made, again, job(text("b"), text("c"), text("a")), job(text("a"), *map(shown, COLOURS)))
    assert sorted(encoder.encoded) == ["a", "b", "c", "picture", "picture", "picture"]
    ranked(made, again, job(shown(RED), *map(shown, COLOURS)))
    assert len(encoder.encoded) == 6
    assert made.cache.hits and len(made.cache) == 6


def test_a_list_of_texts_and_pictures_is_ranked_by_pair() -> None:
    mixed = [text("red"), shown(RED), text("a b"), shown(BLUE)]
    (found,) = ranked(engine(), job(text("red"), *mixed, explain=10))
    (texts,) = ranked(engine(), job(text("red"), mixed[0], mixed[2]))
    (pictures,) = ranked(engine(), job(text("red"), mixed[1], mixed[3]))
    scores = {hit.index: hit.score for hit in found.hits}
    assert scores == {
        **{[0, 2][hit.index]: hit.score for hit in texts.hits},
        **{[1, 3][hit.index]: hit.score for hit in pictures.hits},
    }
    assert [hit.rank for hit in found.hits] == [1, 2, 3, 4]
    assert [hit.base_rank for hit in found.hits] == [hit.index + 1 for hit in found.hits]
    assert sorted((hit.score for hit in found.hits), reverse=True) == [h.score for h in found.hits]
    assert set(found.evidence) == {0, 1, 2, 3}
    (problem,) = engine().rank([job(text("a"), *mixed, scores=(1.0, 2.0, 3.0, 4.0))])
    assert isinstance(problem, RequestError) and problem.status == 422


def test_evidence_names_words_and_boxes() -> None:
    (found,) = ranked(engine(), job(text("red dog"), *map(shown, COLOURS), explain=2))
    assert len(found.evidence) == 2
    evidence = found.evidence[found.hits[0].index]["words"]
    assert [link.query for link in evidence.links] == ["red", "dog"]
    assert evidence.links[0].candidate_box is not None
    assert evidence.score == pytest.approx(found.hits[0].score, abs=1e-6)
    both = job((Part(picture=data_uri()), Part("red")), *map(shown, COLOURS), explain=1)
    (found,) = ranked(engine(), both)
    (shown_,) = found.evidence.values()
    assert len(shown_["words"].links) == 4 + 1


def test_what_one_does_wrong_harms_no_other() -> None:
    damaged = (Part(picture=bare()[:60]),)
    made = engine()
    good = job(text("a"), shown(RED), shown(BLUE))
    outcomes = made.rank([good, job(text("a"), shown(RED), damaged), job(damaged, text("a")), good])
    assert isinstance(outcomes[0], Ranked) and isinstance(outcomes[3], Ranked)
    for outcome, place in ((outcomes[1], "document 1"), (outcomes[2], "query")):
        assert isinstance(outcome, RequestError)
        assert outcome.status == 422 and place in str(outcome)


class Fragile(WordsReranker):
    """Cannot bear a word."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Fail on some queries."""
        if any("bad" in each for each in block.queries["token_text"]):
            raise RuntimeError("/a/path/of/this/machine")
        return super().score(block, state)

    info = cr.RerankerInfo(
        name="words",
        summary="fails",
        query_features=("tokens", "token_text"),
        candidate_features=("tokens",),
    )


def test_a_reranker_that_fails_fails_for_one_and_tells_nothing() -> None:
    made = engine(cr.Stage(Fragile()))
    good, bad = job(text("good"), text("a")), job(text("bad"), text("a"))
    first, second = made.rank([good, bad])
    assert isinstance(first, Ranked)
    assert isinstance(second, RequestError)
    assert second.status == 503 and "/a/path" not in str(second)


def test_pictures_for_an_encoder_of_texts_are_refused() -> None:
    class Texts(ToyEncoder):
        info = cr.EncoderInfo("texts", "texts", {"text": ("embedding", "tokens")})

    (outcome,) = engine(encoder=Texts()).rank([job(shown(RED), text("a"))])
    assert isinstance(outcome, RequestError) and outcome.status == 422


def test_a_transductive_stage_sees_one_request_at_a_time() -> None:
    class Looking(WordsReranker):
        info = cr.RerankerInfo(
            name="looking",
            summary="counts queries",
            query_features=("tokens",),
            candidate_features=("tokens",),
            transductive=True,
        )

        def prepare(self, context: cr.Context) -> int:
            return len(context.lists)

        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            assert state == 1
            return super().score(block, state)

    ranked(engine(cr.Stage(Looking())), job(text("a"), text("b")), job(text("c"), text("d")))


def test_the_cache_keeps_its_budget_and_forgets_the_oldest() -> None:
    cache = FeatureCache(2000)
    for key in (b"a", b"b", b"c"):
        cache.put(key, {"x": "y"})
        assert cache.get(b"a") is not None
    assert cache.used <= 2000
    cache.put(b"d", {"x": "y"})
    assert cache.get(b"b") is None and cache.get(b"a") is not None
    cache.put(b"large", {"x": "y" * 10_000})
    assert cache.get(b"large") is None
    none = FeatureCache(0)
    none.put(b"a", {})
    assert len(none) == 0
    used = cache.used
    cache.put(b"d", {"x": "y"})
    assert cache.used == used


@pytest.mark.parametrize("closed", [True, False])
def test_nothing_is_encoded_for_who_has_gone(monkeypatch: pytest.MonkeyPatch, closed: bool) -> None:
    monkeypatch.setattr(encoding, "BATCH_CHARACTERS", 20)
    encoder = CountingEncoder()
    made = engine(encoder=encoder)
    asked = job(text("a"), *(text(f"word {place}") for place in range(100)))

    def encode_batch(*given: Any) -> Any:
        if len(encoder.encoded) > 10:
            made.close() if closed else time.sleep(0.3)
        return CountingEncoder.encode_batch(encoder, *given)

    monkeypatch.setattr(encoder, "encode_batch", encode_batch)
    until = math.inf if closed else time.monotonic() + 0.3
    (outcome,) = made.rank([replace(asked, until=until)])
    assert isinstance(outcome, RequestError) and outcome.status == 504
    assert len(encoder.encoded) < 50
