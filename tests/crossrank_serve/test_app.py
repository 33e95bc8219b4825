"""Routes, errors, tokens and limits, asked over ASGI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import crossrank as cr
from crossrank.errors import InputError
from crossrank_serve.limits import Limits
from crossrank_serve.tokens import read_tokens
from toys.basic import ToyEncoder
from toys.serving import WordsReranker, data_uri, serving

ASKED = {"query": "a b", "documents": ["b", "c d", "a b"]}
RERANK = ("/v1/rerank", "/v2/rerank", "/rerank", "/v1/score", "/score")
ERROR = {"detail", "message", "error", "error_type", "code", "request_id"}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with serving(limits=Limits(body_bytes=200_000, documents=50, text_characters=1000)) as found:
        yield found


def refused(response: Any, status: int) -> str:
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == ERROR
    assert body["code"] == status
    assert body["detail"] == body["message"] == body["error"]
    assert body["request_id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text and "/plugins/" not in response.text
    return str(body["detail"])


@pytest.mark.parametrize("route", ["/v1/rerank", "/v2/rerank", "/rerank"])
def test_scores_are_those_of_the_library(client: TestClient, route: str) -> None:
    right = cr.rerank("a b", ["b", "c d", "a b"], WordsReranker(), encoder=ToyEncoder())
    results = client.post(route, json=ASKED).json()["results"]
    assert [(each["index"], each["relevance_score"]) for each in results] == [
        (int(hit.id), hit.score) for hit in right
    ]


def test_every_dialect_tells_the_same_scores(client: TestClient) -> None:
    texts = {"query": "a b", "texts": ASKED["documents"]}
    listed = {each["index"]: each["score"] for each in client.post("/rerank", json=texts).json()}
    pairs = {"text_1": "a b", "text_2": ASKED["documents"]}
    for route in ("/score", "/v1/score"):
        data = client.post(route, json=pairs).json()["data"]
        assert {each["index"]: each["score"] for each in data} == listed
    voyage = client.post("/v1/rerank", json={**ASKED, "top_k": 2}).json()
    assert voyage["object"] == "list" and len(voyage["data"]) == 2
    assert {e["index"]: e["relevance_score"] for e in voyage["data"]}.items() <= listed.items()


def test_pictures_and_evidence(client: TestClient) -> None:
    parts = [{"type": "image_url", "image_url": {"url": data_uri()}}]
    documents = [{"image": data_uri()}, {"content": parts}, parts, data_uri((0, 0, 255))]
    asked = {"query": "red", "documents": documents, "explain": True, "top_n": 2}
    body = client.post("/v1/rerank", json=asked).json()
    assert [each["index"] for each in body["results"]] in ([0, 1], [3, 0])
    best = body["results"][0]
    assert best["evidence"]["words"]["links"][0]["query"] == "red"
    assert best["relevant_regions"][0]["box"]
    assert best["trace"][0]["stage"] == "words"
    spans = {**ASKED, "relevant_spans": {"mode": "enabled", "max_spans": 1}}
    first = client.post("/v2/rerank", json=spans).json()["results"][0]
    assert len(first["relevant_spans"]) == 1 and "evidence" not in first


def test_what_it_says_of_itself(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready"}
    (model,) = client.get("/v1/models").json()["data"]
    assert model["id"] == "crossrank-toy-words"
    assert client.get("/v1/models/anything").json()["model_type"] == "rerank"
    described = client.get("/openapi.json").json()
    assert set(RERANK) <= set(described["paths"])
    metrics = client.get("/metrics").text
    assert "crossrank_requests_total" in metrics and "crossrank_cached_items" in metrics


@pytest.mark.parametrize("route", RERANK)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        *((b"", 400), (b"{", 400), (b"[]", 400), (b"null", 400), (b"\xff", 400), (b"3", 400)),
        *((b'{"query": NaN}', 400), (b"[" * 100_000, 400), (b'{"a":' + b"9" * 5000 + b"}", 400)),
        *((b"{}", 422), (b'{"query": 1e400, "documents": ["a"]}', 422)),
        *((b'{"query": "\\ud800", "documents": ["a"]}', 422), (b" " * 200_001, 413)),
    ],
)
def test_bodies_that_are_no_request(
    client: TestClient, route: str, body: bytes, status: int
) -> None:
    response = client.post(route, content=body, headers={"content-type": "application/json"})
    refused(response, status)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        *(({"documents": ["a"] * 51}, 413), ({"query": "a" * 1001}, 413), ({"query": None}, 422)),
        *(({"documents": []}, 422), ({"documents": ["a", "b" * 1001]}, 413), ({"top_n": 0}, 422)),
        *(({"top_n": -1}, 422), ({"query": {"image": "http://a.b/c"}}, 403), ({"query": ""}, 422)),
        *(({"documents": [{"image": "file:///etc/passwd"}]}, 403), ({"documents": [""]}, 422)),
        *(({"documents": [{"image": "/etc/passwd"}]}, 422), ({"query": {"image": "AAAA"}}, 422)),
        *(({"documents": [{"image": "data:image/svg+xml,<svg/>"}]}, 422), ({"query": 3}, 422)),
        *(({"documents": ["a", {"text": "b", "image": data_uri()}]}, 422), ({"query": []}, 422)),
    ],
)
def test_fields_that_cannot_be_used(client: TestClient, change: Any, status: int) -> None:
    refused(client.post("/v1/rerank", json={**ASKED, **change}), status)


def test_more_than_there_is_may_be_asked_for(client: TestClient) -> None:
    assert len(client.post("/v1/rerank", json={**ASKED, "top_n": 99}).json()["results"]) == 3


def test_other_routes_methods_and_kinds(client: TestClient) -> None:
    assert "'/nothing'" in refused(client.get("/nothing"), 404)
    assert "POST" in refused(client.get("/v1/rerank"), 405)
    refused(client.post("/health"), 405)
    refused(client.post("/v1/rerank/", json=ASKED), 404)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        refused(client.post("/v1/rerank", content=b"{}", headers={"content-type": kind}), 415)
    packed = {"content-type": "application/json", "content-encoding": "gzip"}
    refused(client.post("/v1/rerank", content=b"{}", headers=packed), 415)
    accepted = {"content-type": "application/json; charset=utf-8"}
    assert client.post("/v1/rerank", content=json.dumps(ASKED), headers=accepted).status_code == 200


def test_pages_of_others_may_read_nothing(client: TestClient) -> None:
    origin = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for answer in (
        client.post("/v1/rerank", json=ASKED, headers=origin),
        client.get("/v1/models", headers=origin),
        client.options("/v1/rerank", headers=origin),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
    refused(client.options("/v1/rerank", headers=origin), 405)


def test_ids_of_requests_come_back_unless_they_would_spoil_a_log(client: TestClient) -> None:
    given = client.get("/health", headers={"x-request-id": "abc-1"})
    assert given.headers["x-request-id"] == "abc-1"
    for bad in ("a b", "x" * 65, "a;b"):
        made = client.get("/health", headers={"x-request-id": bad})
        assert made.headers["x-request-id"] != bad


def test_the_log_holds_no_content(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        client.post("/v1/rerank", json={"query": "confidential", "documents": ["secretive"]})
        client.post("/v1/rerank?token=confidential", json={"query": "", "documents": "secretive"})
        client.get("/confidential")
    lines = [record.getMessage() for record in caplog.records if "crossrank" in record.name]
    assert any(line.startswith("POST /v1/rerank 200") for line in lines)
    assert not any("confidential" in line or "secretive" in line for line in lines)


def test_names_of_models() -> None:
    with serving(names=["mine"]) as client:
        assert client.post("/v1/rerank", json={**ASKED, "model": "mine"}).status_code == 200
        assert client.post("/v1/rerank", json=ASKED).json()["model"] == "mine"
        assert "mine" in refused(client.post("/v1/rerank", json={**ASKED, "model": "other"}), 404)
        refused(client.get("/v1/models/other"), 404)


def test_tokens() -> None:
    with serving(tokens=(b"right", b"other")) as client:
        for route in ("/health", "/ready", "/openapi.json"):
            assert client.get(route).status_code in (200, 503)
        assert client.get("/v1/cluster/auth").json() == {"auth": True}
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": "Bearer"},
            {"authorization": "Basic right"},
            {"authorization": "Bearer right right"},
        ):
            response = client.post("/v1/rerank", json=ASKED, headers=headers)
            refused(response, 401)
            assert response.headers["www-authenticate"] == "Bearer"
            refused(client.get("/v1/models", headers=headers), 401)
            refused(client.get("/metrics", headers=headers), 401)
        twice = [("authorization", "Bearer right"), ("authorization", "Bearer right")]
        refused(client.post("/v1/rerank", json=ASKED, headers=twice), 401)
        for good in ("Bearer right", "bearer other"):
            headers = {"authorization": good}
            assert client.post("/v1/rerank", json=ASKED, headers=headers).status_code == 200


def test_where_tokens_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSRANK_TOKEN", raising=False)
    assert read_tokens(None) == ()
    monkeypatch.setenv("CROSSRANK_TOKEN", "abc")
    assert read_tokens(None) == (b"abc",)
    file = tmp_path / "tokens"
    file.write_text("# ours\none\n\n two \n")
    assert read_tokens(file) == (b"one", b"two")
    monkeypatch.setenv("CROSSRANK_TOKEN", "  ")
    with pytest.raises(InputError, match="CROSSRANK_TOKEN"):
        read_tokens(None)
    file.write_text("# none\n")
    with pytest.raises(InputError, match="no token"):
        read_tokens(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_tokens(tmp_path / "absent")
