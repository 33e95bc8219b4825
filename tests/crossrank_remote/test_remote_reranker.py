"""The reranker ``remote``: four dialects, its failures, and the promises of every reranker."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import CrossrankError, ParameterError
from crossrank.testing import check_reranker, make_collection
from crossrank_remote import RemoteReranker
from crossrank_remote.calling import seconds_until, tries_again
from crossrank_remote.dialects import DIALECTS
from toys.basic import ToyEncoder
from toys.http_server import Asked, answering
from toys.serving import BLUE, GREEN, RED, WordsReranker, listening, picture

TEXTS = ["b", "c d", "a b", "e"]


def value(query: Any, document: Any) -> float:
    digest = hashlib.blake2b(f"{query}|{document}".encode(), digest_size=2).digest()
    return int.from_bytes(digest) / 65536


def deterministic(asked: Asked) -> Any:
    """Answer in the dialect of the route."""
    body = asked.body
    documents = body.get("texts", body.get("documents"))
    scores = [value(body["query"], document) for document in documents]
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    if "texts" in body:
        return 200, {}, [{"index": place, "score": scores[place]} for place in order]
    results = [{"index": place, "relevance_score": scores[place]} for place in order]
    return 200, {}, {"results": results}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with listening(cr.Stage(WordsReranker())) as found:
        yield found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_scores_of_texts_are_those_of_the_library(url: str, dialect: str) -> None:
    right = cr.rerank("a b", TEXTS, WordsReranker(), encoder=ToyEncoder())
    found = cr.rerank("a b", TEXTS, "remote", encoder=ToyEncoder(), url=url, dialect=dialect)
    assert [(hit.id, hit.score) for hit in found] == [(hit.id, hit.score) for hit in right]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_scores_of_pictures_too(url: str, dialect: str, tmp_path: Path) -> None:
    paths = []
    for number, colour in enumerate((RED, GREEN, BLUE)):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(picture(colour))
    right = cr.rerank("red", paths, WordsReranker(), encoder=ToyEncoder())
    stage = cr.Stage("remote", params={"url": url, "dialect": dialect}, fusion=cr.Replace())
    found = cr.rerank("red", paths, cr.Pipeline([stage]), encoder=ToyEncoder())
    assert [(hit.id, hit.score) for hit in found] == [(hit.id, hit.score) for hit in right]
    right = cr.rerank(paths[0], TEXTS, WordsReranker(), encoder=ToyEncoder())
    found = cr.rerank(paths[0], TEXTS, cr.Pipeline([stage]), encoder=ToyEncoder())
    assert [hit.score for hit in found] == [hit.score for hit in right]


@pytest.fixture(scope="module")
def promises() -> Iterator[dict[str, Any]]:
    texts = make_collection("text", 6)
    gallery = cr.Collection(
        [f"g{row}" for row in range(12)], "text", text=[f"text {row}" for row in range(12)]
    )
    with answering(deterministic) as stub:
        checks = check_reranker(RemoteReranker, queries=texts, gallery=gallery, url=stub.url)
        yield {str(check): check for check in checks}


def test_it_keeps_the_promises_of_every_reranker(promises: dict[str, Any]) -> None:
    assert len(promises) > 5
    for check in promises.values():
        check()


def test_what_is_sent_in_each_dialect() -> None:
    with answering(deterministic) as stub:
        for dialect in DIALECTS:
            params: dict[str, Any] = {
                "url": stub.url,
                "dialect": dialect,
                "model": "m",
                "token": "t",
            }
            cr.rerank("q", TEXTS, "remote", encoder=ToyEncoder(), **params)
        jina, cohere, tei, vllm = stub.asked
    assert [each.path for each in stub.asked] == ["/v1/rerank", "/v2/rerank", "/rerank", "/rerank"]
    assert all(each.headers["authorization"] == "Bearer t" for each in stub.asked)
    assert jina.body["documents"] == cohere.body["documents"] == vllm.body["documents"] == TEXTS
    assert jina.body["top_n"] == cohere.body["top_n"] == 4 and jina.body["model"] == "m"
    assert tei.body["texts"] == TEXTS and "top_n" not in tei.body


@pytest.mark.parametrize(
    ("dialect", "given", "asked"),
    [
        ("jina", "http://a", "http://a/v1/rerank"),
        ("jina", "http://a/v1", "http://a/v1/rerank"),
        ("jina", "http://a/v1/rerank", "http://a/v1/rerank"),
        ("tei", "http://a/", "http://a/rerank"),
        ("cohere", "http://a/b", "http://a/b/v2/rerank"),
        ("vllm", "http://a:1", "http://a:1/rerank"),
        ("cohere", "http://a/v2/", "http://a/v2/rerank"),
        ("tei", "http://a/x", "http://a/x/rerank"),
    ],
)
def test_addresses(dialect: str, given: str, asked: str) -> None:
    assert DIALECTS[dialect].address(given) == asked


def test_long_lists_are_cut_for_tei() -> None:
    texts = [f"text {n}" for n in range(70)]
    with answering(deterministic) as stub:
        params: dict[str, Any] = {"url": stub.url, "dialect": "tei"}
        found = cr.rerank("q", texts, "remote", encoder=ToyEncoder(), **params)
        assert [len(each.body["texts"]) for each in stub.asked] == [32, 32, 6]
    scores = {hit.index: hit.score for hit in found}
    assert scores == {n: pytest.approx(value("q", text)) for n, text in enumerate(texts)}


@pytest.mark.parametrize(
    "answer",
    [
        *([], {}, {"results": None}, {"results": [{"index": 0, "relevance_score": 1.0}]}),
        {"results": [{"index": 0, "relevance_score": 1.0}] * 2},
        {"results": [{"index": n, "relevance_score": 1.0} for n in (0, 2)]},
        {"results": [{"index": n, "relevance_score": None} for n in (0, 1)]},
        {"results": [{"index": str(n), "relevance_score": 1.0} for n in (0, 1)]},
        {"results": [{"index": True, "relevance_score": 1.0}, {"index": 0, "relevance_score": 1}]},
        b'{"results": [{"index": 0, "relevance_score": NaN}, {"index": 1, "relevance_score": 1}]}',
        b"no json",
    ],
)
def test_answers_that_are_none(answer: Any) -> None:
    with answering(lambda asked: (200, {}, answer)) as stub:
        with pytest.raises(CrossrankError, match="remote"):
            cr.rerank("q", ["a", "b"], "remote", encoder=ToyEncoder(), url=stub.url)
        kept = cr.rerank(
            "q",
            ["a", "b"],
            cr.Stage("remote", params={"url": stub.url, "on_error": "base_order"}),
            encoder=ToyEncoder(),
            base_scores=[2.0, 1.0],
        )
        assert [hit.id for hit in kept] == ["0", "1"]
        assert "remote" in kept[0].trace[0].note


def test_what_it_refuses() -> None:
    for params in (
        {},
        {"url": "nowhere"},
        {"url": "http://a", "dialect": "other"},
        {"url": "http://a", "timeout": 0},
        {"url": "http://a", "retries": -1},
        {"url": "http://a", "on_error": "ignore"},
        {"url": "http://a", "batch_size": 0},
    ):
        with pytest.raises(ParameterError, match="remote"):
            cr.Stage("remote", params=params)
    loose = [Image.new("RGB", (2, 2))]
    with pytest.raises(CrossrankError, match="path"):
        cr.rerank("q", loose, "remote", encoder=ToyEncoder(), url="http://a.invalid")


def test_it_travels_and_keeps_its_secret() -> None:
    made = RemoteReranker(url="http://a", token="hush")
    again = pickle.loads(pickle.dumps(made))
    assert again.params == made.params
    assert "hush" not in repr(made.params)


def test_when_to_ask_again() -> None:
    assert seconds_until({"retry-after": "3"}, 1) == 3
    date = {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert seconds_until(date, 1, now=1445412470) == 10
    assert seconds_until(date, 1) == 0
    assert [seconds_until({"retry-after": "soon"}, n) for n in (1, 2, 3, 20)] == [0.5, 1, 2, 60]
    assert tries_again(None, 1, 1) and tries_again(503, 3, 3)
    assert not tries_again(500, 1, 3) and not tries_again(429, 4, 3)
