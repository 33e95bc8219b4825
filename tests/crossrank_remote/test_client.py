"""A client's rankings are those of the library."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import (
    CrossrankError,
    ImageError,
    InputError,
    ParameterError,
    RemoteError,
)
from toys.basic import DotReranker, ToyEncoder
from toys.http_server import Asked, answering
from toys.serving import BLUE, GREEN, RED, WordsReranker, listening, picture

STAGES = cr.Stage(WordsReranker()), cr.Stage(DotReranker(), depth=2)
BARE = cr.Pipeline([cr.Stage(WordsReranker(), fusion=cr.Replace()), STAGES[1]])
SCORED = cr.Pipeline(STAGES)
TEXTS = ["b", "c d", "a b", "e", "b"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with listening(*STAGES) as found:
        yield found


def test_one_query(url: str) -> None:
    client = cr.Client(url)
    right = cr.rerank("a b", TEXTS, BARE, encoder=ToyEncoder())
    assert client.rerank("a b", TEXTS) == right
    assert asyncio.run(client.arerank("a b", TEXTS)) == right
    scores = [5.0, 4.0, 3.0, 2.0, 1.0]
    right = cr.rerank("a b", TEXTS, SCORED, encoder=ToyEncoder(), base_scores=scores)
    assert client.rerank("a b", TEXTS, base_scores=scores) == right
    assert all(hit.base_score is not None for hit in right)


def test_cuts(url: str) -> None:
    client = cr.Client(url)
    whole = client.rerank("a b", TEXTS)
    assert tuple(client.rerank("a b", TEXTS, top_k=2)) == whole[:2]
    assert len(client.rerank("a b", TEXTS, top_k=99)) == 5
    threshold = whole[1].score
    right = cr.rerank("a b", TEXTS, BARE, encoder=ToyEncoder(), score_threshold=threshold)
    assert client.rerank("a b", TEXTS, score_threshold=threshold) == right
    assert len(client.rerank("a b", [])) == 0


def test_many_queries(url: str) -> None:
    queries: list[Any] = ["a b", cr.Item("second", "c"), "d"]
    lists: list[Any] = [TEXTS, [cr.Item("x", "c d"), "e", "c"], []]
    right = cr.rerank_many(queries, lists, BARE, encoder=ToyEncoder())
    for found in (
        cr.Client(url).rerank_many(queries, lists),
        asyncio.run(cr.Client(url).arerank_many(queries, lists)),
    ):
        assert found.query_ids == right.query_ids
        assert found.candidate_ids == right.candidate_ids
        assert found.values() == right.values()
        assert found.direction == right.direction
        assert found.to_run() == right.to_run()


def test_pictures_in_every_form(url: str, tmp_path: Path) -> None:
    paths = []
    for number, colour in enumerate((RED, GREEN, BLUE)):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(picture(colour))
    right = cr.rerank("red", paths, BARE, encoder=ToyEncoder())
    client = cr.Client(url)
    assert client.rerank("red", paths) == right
    opened = [Image.open(io.BytesIO(picture(colour))) for colour in (RED, GREEN, BLUE)]
    assert [hit.score for hit in client.rerank("red", opened)] == [hit.score for hit in right]
    found = client.rerank("red", [picture(colour) for colour in (RED, GREEN, BLUE)])
    assert [hit.score for hit in found] == [hit.score for hit in right]
    both: list[Any] = [opened[0], "red"]
    right = cr.rerank(both, paths, BARE, encoder=ToyEncoder())
    assert client.rerank(both, paths) == right
    right = cr.rerank(opened[2], TEXTS, BARE, encoder=ToyEncoder())
    assert client.rerank(opened[2], TEXTS) == right


def test_evidence(url: str) -> None:
    found = cr.Client(url).explain("a b", ["b", cr.Item("mine", "a")])
    names = ("embedding", "tokens", "token_text")
    queries = cr.encode(ToyEncoder(), ["a b"], "text", names)
    items = [cr.Item("0", "b"), cr.Item("mine", "a")]
    gallery = cr.encode(ToyEncoder(), items, "text", names)
    right = BARE.explain(queries, gallery, "0", ["0", "mine"])
    assert found["words"] == list(right["words"])


def test_what_the_server_refuses_is_an_input_error(url: str) -> None:
    client = cr.Client(url)
    with pytest.raises(InputError, match="422"):
        client.rerank("a", ["b", Image.new("RGB", (2, 2))], base_scores=[1, 2])
    with pytest.raises(InputError, match="empty"):
        client.rerank("a", ["b", " "])
    with pytest.raises(ImageError, match="absent"):
        client.rerank("a", [Path("absent.png")])
    with pytest.raises(InputError, match="neither text nor image"):
        client.rerank("a", [cr.Item("x", embedding=[1.0])])
    with pytest.raises(InputError, match="2 lists"):
        client.rerank_many(["a"], [["b"], ["c"]])
    with pytest.raises(InputError, match="list"):
        client.rerank("a", "b")
    with pytest.raises(ParameterError, match="top_k"):
        client.rerank("a", ["b"], top_k=0)


@pytest.mark.parametrize("bad", ["", "localhost", "ftp://a", "http://", "http://a:99999"])
def test_addresses_that_are_none(bad: str) -> None:
    with pytest.raises(ParameterError, match="url"):
        cr.Client(bad)


def test_a_token_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSRANK_TOKEN", raising=False)
    with listening(*STAGES, tokens=(b"right",)) as url:
        assert len(cr.Client(url, "right").rerank("a", ["b"])) == 1
        for token in (None, "wrong"):
            with pytest.raises(RemoteError, match="401"):
                cr.Client(url, token).rerank("a", ["b"])
        monkeypatch.setenv("CROSSRANK_TOKEN", "right")
        assert len(cr.Client(url).rerank("a", ["b"])) == 1
    assert "right" not in repr(cr.Client("http://a", "right"))


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(RemoteError, match="does not answer"):
        cr.Client("http://127.0.0.1:9", retries=0).rerank("a", ["b"])


@pytest.mark.parametrize(
    "answer", [[], {}, {"results": 3}, {"results": [{"index": 0}]}, {"results": [3]}, b"<html>"]
)
def test_a_server_that_is_another(answer: Any) -> None:
    with (
        answering(lambda asked: (200, {}, answer)) as stub,
        pytest.raises(RemoteError, match="client"),
    ):
        cr.Client(stub.url).rerank("a", ["b"])


def test_asking_again_obeys_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("crossrank_remote.calling.pause", waits.append)

    def handler(asked: Asked) -> Any:
        if asked.number < 2:
            return 429, {"retry-after": "7"}, {"detail": "busy"}
        hit = {"index": 0, "relevance_score": 1.0, "base_rank": 1, "trace": []}
        return 200, {}, {"results": [hit]}

    with answering(handler) as stub:
        assert cr.Client(stub.url).rerank("a", ["b"])[0].score == 1.0
        assert waits == [7.0, 7.0]
    with answering(lambda asked: (429, {"retry-after": "9999"}, {"detail": "busy"})) as stub:
        with pytest.raises(CrossrankError, match="busy"):
            cr.Client(stub.url).rerank("a", ["b"])
        assert len(stub.asked) == 1
    with answering(lambda asked: (503, {}, {"detail": "loading"})) as stub:
        with pytest.raises(CrossrankError, match="loading"):
            cr.Client(stub.url, retries=2).rerank("a", ["b"])
        assert len(stub.asked) == 3
    with answering(lambda asked: (500, {}, b"oh")) as stub:
        with pytest.raises(RemoteError, match="500"):
            cr.Client(stub.url).rerank("a", ["b"])
        assert len(stub.asked) == 1
