"""What a server with its own limits says to what is too large, of the wrong kind, or too many."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

import crossrank as cr
from crossrank_serve.limits import MEBIBYTE, Limits
from toys.serving import TextOnlyEncoder, data_uri, listening, picture, serving

ROUTES = (
    ("/v1/rerank", "query", "documents"),
    ("/v2/rerank", "query", "documents"),
    ("/rerank", "query", "texts"),
    ("/rerank", "query", "documents"),
    ("/score", "text_1", "text_2"),
    ("/v1/score", "queries", "documents"),
)
OTHER_TYPES: tuple[Any, ...] = (None, True, 0, -1.5, 10**400, 1e308, "", " ", [], {}, [[]], [None])


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with serving(limits=Limits()) as found:
        yield found


def status(client: TestClient, route: str, body: Any) -> int:
    response = client.post(route, json=body)
    if response.status_code != 200:
        assert response.json()["code"] == response.status_code
        assert "Traceback" not in response.text and "/plugins/" not in response.text
    return response.status_code


@pytest.mark.parametrize(("route", "query", "documents"), ROUTES)
def test_every_field_missing_null_huge_and_of_another_type(
    client: TestClient, route: str, query: str, documents: str
) -> None:
    right = {query: "a b", documents: ["b", "a b"]}
    assert status(client, route, right) == 200
    for name in right:
        assert status(client, route, {key: right[key] for key in right if key != name}) == 422
        for value in OTHER_TYPES:
            assert status(client, route, {**right, name: value}) in (413, 422), (name, value)
    for name in ("top_n", "base_scores", "return_documents", "explain", "timeout", "instruction"):
        for value in OTHER_TYPES:
            assert status(client, route, {**right, name: value}) in (200, 422), (name, value)
    text = json.dumps(right).replace('"a b"', "NaN", 1)
    sent = client.post(route, content=text, headers={"content-type": "application/json"})
    assert sent.status_code == 400


@pytest.mark.parametrize(("route", "query", "documents"), ROUTES)
def test_too_many_too_long_too_large(
    client: TestClient, route: str, query: str, documents: str
) -> None:
    assert status(client, route, {query: "a", documents: []}) == 422
    assert status(client, route, {query: "a", documents: ["a"] * 10**5}) == 413
    assert status(client, route, {query: "a", documents: ["a" * MEBIBYTE]}) == 413
    assert status(client, route, {query: "a" * MEBIBYTE, documents: ["a"]}) == 413


@pytest.mark.parametrize("mebibytes", [21, 50])
def test_a_large_picture_is_over_its_own_limit_or_over_that_of_bodies(
    client: TestClient, mebibytes: int
) -> None:
    large = base64.b64encode(bytes(mebibytes * MEBIBYTE)).decode()
    assert status(client, "/v1/rerank", {"query": "a", "documents": [{"image": large}]}) == 413


@pytest.mark.parametrize(
    "image",
    [
        *("not base64!", "AAA", base64.b64encode(b"hello").decode(), "data:image/png;base64,%%"),
        "data:image/svg+xml;base64," + base64.b64encode(b"<svg/>").decode(),
        "data:text/html;base64," + base64.b64encode(b"<p>").decode(),
        "data:application/pdf;base64,JVBERi0=",
        "data:image/png;base64," + base64.b64encode(picture()[:50]).decode(),
        "data:image/png," + "%89PNG",
    ],
)
def test_pictures_that_are_none(client: TestClient, image: str) -> None:
    for route, query, documents in ROUTES:
        if documents != "texts":
            assert status(client, route, {query: "a", documents: [{"image": image}]}) == 422
            assert status(client, route, {query: {"image": image}, documents: ["a"]}) == 422


def test_a_picture_for_a_server_of_texts() -> None:
    with serving(encoder=TextOnlyEncoder()) as client:
        asked: dict[str, Any] = {"query": {"image": data_uri()}, "documents": ["a"]}
        response = client.post("/v1/rerank", json=asked)
        assert response.status_code == 422 and "texts" in response.json()["detail"]
        asked = {"query": "a", "documents": [{"image": data_uri()}]}
        assert client.post("/v1/rerank", json=asked).status_code == 422
        assert client.post("/v1/rerank", json={"query": "a", "documents": ["a"]}).status_code == 200


@pytest.mark.parametrize(("asked", "given"), [(0, 422), (-1, 422), (2, 2), (3, 3), (10**9, 3)])
def test_how_many_are_wanted(client: TestClient, asked: int, given: int) -> None:
    for name in ("top_n", "top_k"):
        body = {"query": "a b", "documents": ["b", "c d", "a b"], name: asked}
        response = client.post("/v1/rerank", json=body)
        if given == 422:
            assert response.status_code == 422
        else:
            assert len(response.json()["results" if name == "top_n" else "data"]) == given


def test_a_thousand_open_connections_keep_nobody_out() -> None:
    with listening() as url:
        host, _, port = url.removeprefix("http://").partition(":")
        held = [socket.create_connection((host, int(port))) for _ in range(1000)]
        try:
            assert next(iter(cr.Client(url).rerank("a b", ["b", "c", "a b"]))).id == "2"
        finally:
            for each in held:
                each.close()


def test_a_connection_too_many_reads_the_one_error_body() -> None:
    with listening(limits=Limits(connections=3)) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        held = [socket.create_connection((host, int(port))) for _ in range(3)]
        try:
            refused = httpx.get(f"{url}/health")
            assert refused.status_code == 503 and refused.json()["error_type"] == "unavailable"
            assert refused.headers["connection"] == "close" and refused.headers["retry-after"]
        finally:
            for each in held:
                each.close()
        for _ in range(100):
            if (again := httpx.get(f"{url}/health")).status_code == 200:
                break
            time.sleep(0.05)
        assert again.status_code == 200
