"""Every form in which clients ask, and what each of them reads in the answer."""

from __future__ import annotations

from typing import Any

import pytest

import crossrank as cr
from crossrank_serve.dialects import adapted, dialect_of
from crossrank_serve.dialects.content import read_content, read_contents
from crossrank_serve.dialects.spans import relevant_regions, relevant_spans
from crossrank_serve.problems import RequestError
from crossrank_serve.records import Ask, Part, Ranked, Request, Spans
from toys.serving import data_uri

URI = data_uri()
TEXT, PICTURE = Part("words"), Part(picture=URI)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("words", (TEXT,)),
        (URI, (PICTURE,)),
        ({"text": "words"}, (TEXT,)),
        ({"image": URI}, (PICTURE,)),
        ({"image": "aGVsbG8="}, (Part(picture="aGVsbG8="),)),
        ({"text": "words", "image": URI}, (TEXT, PICTURE)),
        ({"text": None, "image": URI}, (PICTURE,)),
        ({"text": "words", "id": "a", "meta": {}}, (TEXT,)),
        ({"type": "text", "text": "words"}, (TEXT,)),
        ({"type": "image_url", "image_url": {"url": URI}}, (PICTURE,)),
        ({"type": "image_url", "image_url": URI}, (PICTURE,)),
        ({"type": "image_base64", "image_base64": URI}, (PICTURE,)),
        ([{"type": "text", "text": "words"}], (TEXT,)),
        (["words", URI], (TEXT, PICTURE)),
        (
            [{"type": "image_url", "image_url": {"url": URI}}, {"type": "text", "text": "words"}],
            (PICTURE, TEXT),
        ),
        ({"content": [{"type": "text", "text": "words"}]}, (TEXT,)),
        ({"content": "words"}, (TEXT,)),
    ],
)
def test_contents_of_every_dialect_are_read(sent: Any, read: tuple[Part, ...]) -> None:
    assert read_content("query", sent) == read


@pytest.mark.parametrize(
    "sent",
    [
        *(None, 1, 1.5, True, "", " \n", [], {}, {"text": None}, {"text": 3}, {"image": 3}),
        *({"image": {}}, {"image_url": {"url": None}}, {"content": []}, [1], [None], [[]]),
        *({"title": "a"}, "\ud800", {"text": ""}, [{"type": "text"}], ["a"] * 65),
    ],
)
def test_other_contents_are_refused(sent: Any) -> None:
    with pytest.raises(RequestError, match="query") as caught:
        read_content("query", sent)
    assert caught.value.status == 422


def test_vllm_sends_several_documents_as_the_parts_of_one_object() -> None:
    sent = {"content": [{"type": "text", "text": "words"}, {"image_url": {"url": URI}}]}
    assert read_contents("documents", sent) == ((TEXT,), (PICTURE,))
    assert read_contents("text_2", "words") == ((TEXT,),)
    assert read_contents("text_2", ["words", URI]) == ((TEXT,), (PICTURE,))


def test_cohere_ranks_by_fields() -> None:
    sent = {"title": "a", "snippet": "b", "id": 3, "text": "not this"}
    assert read_content("d", sent, ("title", "snippet")) == (Part("title: a\nsnippet: b"),)


# what each client sends (recorded from the packages), and which fields it reads in the answer
COHERE_V1 = {"model": "rerank-v3.5", "query": "q", "documents": ["a", "b"], "top_n": 1}
LANGCHAIN = {"model": "m", "query": "q", "documents": ["a", "b"], "max_tokens_per_doc": None}
VOYAGE = {"query": "q", "documents": ["a", "b"], "model": "m", "top_k": None, "truncation": True}
XINFERENCE = {
    **{"model": "m", "documents": ["a", "b"], "query": "q", "top_n": None},
    **{"max_chunks_per_doc": None, "return_documents": None, "return_len": None, "kwargs": "{}"},
}
LITELLM_VOYAGE = {"model": "m", "query": "q", "documents": ["a", "b"], "return_documents": True}
TEI = {"query": "q", "texts": ["a", "b"], "truncate": True, "raw_scores": False}
LITELLM_TEI = {**TEI, "truncation_direction": "Right", "return_text": True}
SGLANG = {"query": [{"type": "text", "text": "q"}], "documents": [["a"], ["b"]], "instruct": None}
PAIRS = {"text_1": "q", "text_2": ["a", "b"], "model": "m"}

RANKED = Ranked((cr.Hit("1", 0.9, 1, 1, None, 2), cr.Hit("0", 0.5, 2, 0, None, 1)), tokens=3)


def answered(route: str, body: dict[str, Any]) -> tuple[Request, Any]:
    read, write = dialect_of(route, body)
    request = read(body)
    return request, write(request, [RANKED] * len(request.asks), "model", "id")


@pytest.mark.parametrize(
    ("route", "body", "key"),
    [
        ("/v1/rerank", COHERE_V1, "results"),
        ("/v1/rerank", LANGCHAIN, "results"),
        ("/v1/rerank", XINFERENCE, "results"),
        ("/v1/rerank", LITELLM_VOYAGE, "data"),
        ("/v1/rerank", VOYAGE, "data"),
        ("/v1/rerank", SGLANG, "results"),
        ("/v2/rerank", COHERE_V1, "results"),
        ("/v2/rerank", LANGCHAIN, "results"),
        ("/rerank", COHERE_V1, "results"),
        ("/rerank", SGLANG, "results"),
        ("/rerank", TEI, None),
        ("/rerank", LITELLM_TEI, None),
    ],
)
def test_every_client_finds_its_results(route: str, body: Any, key: str | None) -> None:
    request, answer = answered(route, body)
    (ask,) = request.asks
    assert ask == Ask((Part("q"),), ((Part("a"),), (Part("b"),)))
    results = answer if key is None else answer[key]
    score = "score" if key is None else "relevance_score"
    assert [(each["index"], each[score]) for each in results][:1] == [(1, 0.9)]
    assert len(results) == (request.top or 2)
    if key is not None and route == "/v1/rerank":
        assert answer["usage"]["total_tokens"] == 3
    if key == "results":
        assert answer["id"] == "id" and answer["meta"]["api_version"]


def test_documents_are_returned_in_each_dialect() -> None:
    asked = {**COHERE_V1, "documents": ["a", {"text": "b", "own": 1}], "return_documents": True}
    assert answered("/v1/rerank", asked)[1]["results"][0]["document"] == {"text": "b", "own": 1}
    voyage = {**VOYAGE, "return_documents": True}
    assert answered("/v1/rerank", voyage)[1]["data"][0]["document"] == "b"
    assert answered("/rerank", LITELLM_TEI)[1][0] == {"index": 1, "score": 0.9, "text": "b"}
    assert answered("/rerank", TEI)[1][0] == {"index": 1, "score": 0.9}
    pictures = {**COHERE_V1, "documents": [URI, {"image": URI}], "return_documents": True}
    assert answered("/v1/rerank", pictures)[1]["results"][0]["document"] == {
        "image": URI,
        "text": "",
    }


def test_litellm_gets_no_documents_where_it_could_not_read_them() -> None:
    body = {**COHERE_V1, "return_documents": True}
    assert "return_documents" not in adapted("/rerank", body, "litellm/1.110.2")
    assert adapted("/v1/rerank", body, "litellm/1.110.2") == body
    assert adapted("/rerank", body, "python-httpx") == body


@pytest.mark.parametrize("names", [("text_1", "text_2"), ("data_1", "data_2")])
def test_scores_of_one_and_many_and_of_pairs(names: tuple[str, str]) -> None:
    one = dict(zip(names, ("q", ["a", "b"]), strict=True))
    request, answer = answered("/score", one)
    assert len(request.asks) == 1
    assert [each["score"] for each in answer["data"]] == [0.5, 0.9]
    assert [each["index"] for each in answer["data"]] == [0, 1]
    assert answer["object"] == "list" and answer["usage"]["total_tokens"] == 3
    read, _ = dialect_of("/v1/score", {})
    pairs = read(dict(zip(names, (["q", "r"], ["a", "b"]), strict=True)))
    assert [each.query for each in pairs.asks] == [(Part("q"),), (Part("r"),)]
    assert [each.documents for each in pairs.asks] == [((Part("a"),),), ((Part("b"),),)]
    with pytest.raises(RequestError, match="entries"):
        read(dict(zip(names, (["q", "r"], ["a"]), strict=True)))


def test_scores_by_queries_and_documents_or_items() -> None:
    read, _ = dialect_of("/score", {})
    for name in ("documents", "items"):
        request = read({"queries": "q", name: ["a", "b"]})
        assert request.asks == (Ask((Part("q"),), ((Part("a"),), (Part("b"),))),)
    with pytest.raises(RequestError, match="documents is missing"):
        read({"queries": "q"})
    with pytest.raises(RequestError, match="text_1 is missing"):
        read({})


@pytest.mark.parametrize(
    "change",
    [
        *({"query": None}, {"documents": None}, {"documents": []}, {"documents": "a"}),
        *({"documents": 3}, {"top_n": 0}, {"top_n": -1}, {"top_n": 1.5}, {"top_n": "1"}),
        *({"top_n": True}, {"top_k": 0}, {"return_documents": "yes"}, {"explain": 1}),
        *({"base_scores": [1]}, {"base_scores": "a"}, {"base_scores": [1, None]}),
        *({"base_scores": [1, 10**400]}, {"base_scores": [True, 1]}, {"rank_fields": "title"}),
        *({"max_tokens_per_doc": 0}, {"timeout": 0}, {"timeout": -1.0}, {"timeout": "a"}),
        *({"model": 3}, {"relevant_spans": {"mode": "on"}}, {"relevant_spans": "yes"}),
        *({"relevant_spans": {"max_spans": 0}}, {"instruction": 5}, {"documents": {}}),
    ],
)
def test_bad_fields_are_refused_with_their_name(change: dict[str, Any]) -> None:
    body = {"query": "q", "documents": ["a", "b"], **change}
    for route in ("/v1/rerank", "/v2/rerank", "/rerank"):
        read, _ = dialect_of(route, body)
        with pytest.raises(RequestError, match=next(iter(change))) as caught:
            read(body)
        assert caught.value.status == 422


def test_nulls_and_unknown_fields_are_accepted() -> None:
    names = ("top_n", "top_k", "model", "base_scores", "explain", "instruction", "rank_fields")
    body = {"query": "q", "documents": ["a"], **dict.fromkeys(names), "whatever": {"a": [1]}}
    read, _ = dialect_of("/v1/rerank", body)
    assert read(body).asks == (Ask((Part("q"),), ((Part("a"),),)),)


def test_base_scores_stand_beside_the_new_ones() -> None:
    body = {"query": "q", "documents": ["a", "b"], "base_scores": [2, 1]}
    read, write = dialect_of("/v1/rerank", body)
    hits = (cr.Hit("1", 0.9, 1, 1, 1.0, 2), cr.Hit("0", 0.5, 2, 0, 2.0, 1))
    answer = write(read(body), [Ranked(hits)], "m", "id")
    assert answer["results"][0]["base_score"] == 1.0
    assert answer["results"][0]["base_rank"] == 2


def test_long_documents_are_cut_after_so_many_words() -> None:
    read, _ = dialect_of("/v2/rerank", {})
    body = {"query": "one two three", "documents": ["one  two three", "one"]}
    (ask,) = read({**body, "max_tokens_per_doc": 2}).asks
    assert ask.documents == ((Part("one  two"),), (Part("one"),))
    assert ask.query == (Part("one two three"),)


LINKS = (
    cr.Link("dog", "Dog", 0.9),
    cr.Link("a", "a", 0.2),
    cr.Link("hound", "Dog", 0.5),
    cr.Link("x", "absent", 0.8),
)


def test_spans_lie_where_the_words_are() -> None:
    evidence = {"filip": cr.Evidence("q", "d", 1.0, LINKS)}
    spans = relevant_spans("Ⱥ big dog", evidence, True, Spans())
    assert spans == [
        {"start": 6, "end": 9, "score": 0.9, "query": "dog"},
    ]
    spans = relevant_spans("a dog", evidence, True, Spans(0.3))
    assert [(each["start"], each["end"]) for each in spans] == [(2, 5)]
    assert len(relevant_spans("a dog", evidence, True, Spans(most=1))) == 1
    repeated = cr.Evidence("q", "d", 1.0, (cr.Link("0", "a", 0.1), cr.Link("1", "a", 0.2)))
    spans = relevant_spans("a a", {"s": repeated}, False, Spans())
    assert [(each["start"], each["query"]) for each in spans] == [(2, "1"), (0, "0")]


def test_regions_are_boxes_of_the_picture() -> None:
    box = (0.0, 0.0, 0.5, 0.5)
    links = (cr.Link("dog", "3", 0.1, None, box), cr.Link("a", "1", 0.2), LINKS[0])
    evidence = {"filip": cr.Evidence("q", "d", 1.0, links)}
    assert relevant_regions(evidence, Spans()) == [{"box": [*box], "score": 0.1, "query": "dog"}]


def test_what_was_left_out_for_want_of_time_is_said() -> None:
    body = {"query": "q", "documents": ["a", "b"], "instruction": "be kind"}
    read, write = dialect_of("/v2/rerank", body)
    answer = write(read(body), [Ranked(RANKED.hits, left_out=("slow",))], "m", "id")
    assert answer["meta"]["left_out"] == ["slow"]
    assert any("slow" in each for each in answer["meta"]["warnings"])
    assert any("instruction" in each for each in answer["meta"]["warnings"])
