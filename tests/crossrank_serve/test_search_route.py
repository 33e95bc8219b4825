"""A query against a gallery: base search and stages as the library does them."""

from __future__ import annotations

import io
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import crossrank as cr
from crossrank.errors import CrossrankError
from crossrank_serve.gallery import Gallery
from crossrank_serve.limits import Limits
from toys.basic import ToyEncoder
from toys.serving import WordsReranker, data_uri, engine, picture, searching, serving

STAGE = cr.Stage(WordsReranker(), fusion=cr.WeightedSum(0.7))
NAMES = ("embedding", "tokens", "token_boxes")


def photographs(folder: Path, count: int = 12, seed: int = 0) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(count):
        pixels = rng.integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(pixels).resize((80, 60), Image.Resampling.NEAREST).save(
            folder / f"p{number:02}.png"
        )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photographs(tmp_path_factory.mktemp("search") / "photographs")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    with serving(STAGE, gallery=folder) as found:
        yield found


def right(query: Any, folder: Path, depth: int) -> cr.Ranking:
    gallery = cr.encode(ToyEncoder(), folder, "image", NAMES)
    queries = cr.encode(ToyEncoder(), [query], features=("embedding", "tokens"))
    candidates = cr.search(queries, gallery, depth)
    ranking: cr.Ranking = cr.Pipeline([STAGE]).rerank(candidates, queries, gallery).values()[0]
    return ranking


@pytest.mark.parametrize("depth", [1, 5, 100])
def test_words_find_pictures_as_the_library_finds_them(
    client: TestClient, folder: Path, depth: int
) -> None:
    found = client.post("/v1/search", json={"query": "red bus", "depth": depth}).json()
    for hit, ours in zip(found["hits"], right("red bus", folder, depth), strict=True):
        assert hit["id"] == ours.id and hit["rank"] == ours.rank
        assert hit["score"] == pytest.approx(ours.score, abs=1e-5)
        assert hit["base_score"] == pytest.approx(ours.base_score, abs=1e-6)
        assert hit["base_rank"] == ours.base_rank
        assert hit["trace"][0]["score"] == pytest.approx(ours.trace[0].score, abs=1e-6)
    assert found["stages"][0]["weight"] == 0.7 and found["gallery"] == 12


def test_pictures_find_pictures_and_both_together(client: TestClient, folder: Path) -> None:
    image = Image.open(io.BytesIO(picture()))
    found = client.post("/v1/search", json={"image": data_uri()}).json()
    assert [hit["id"] for hit in found["hits"]] == [hit.id for hit in right(image, folder, 100)]
    both = {"text": "red", "image": data_uri(), "top_n": 3}
    hits = client.post("/v1/search", json=both).json()["hits"]
    parts = client.post("/v1/search", json={"query": [{"text": "red"}, {"image": data_uri()}]})
    assert len(hits) == 3 and hits == parts.json()["hits"][:3]


def test_evidence_of_some_hits(client: TestClient) -> None:
    asked = {"query": "red bus", "ids": ["p03.png", "p01.png"], "explain": True}
    hits = client.post("/v1/search", json=asked).json()["hits"]
    assert {hit["id"] for hit in hits} == {"p03.png", "p01.png"}
    heat = hits[0]["heat"]
    assert heat["words"] == ["red", "bus"] and heat["extent"] == [0, 0, 1, 1]
    assert np.shape(heat["values"]) == (2, 2, 2)
    links = hits[0]["evidence"]["words"]
    assert [link["query"] for link in links] == ["red", "bus"]
    assert max(max(map(max, each)) for each in heat["values"][:1]) == pytest.approx(
        links[0]["weight"], abs=1e-4
    )
    assert len(hits[0]["relevant_regions"]) == 2
    many = client.post("/v1/search", json={"query": "red", "explain": True, "top_k": 2}).json()
    assert all("heat" in hit for hit in many["hits"]) and len(many["hits"]) == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        *(({}, 422), ({"query": ""}, 422), ({"query": 3}, 422), ({"image": "AAAA"}, 422)),
        *(({"query": "a", "depth": 0}, 422), ({"query": "a", "top_n": 0}, 422)),
        *(({"query": "a", "ids": []}, 422), ({"query": "a", "ids": [3]}, 422)),
        *(({"query": "a", "ids": ["absent"]}, 404), ({"query": "a", "ids": "p01.png"}, 422)),
        *(({"query": "a", "depth": 10**6}, 413), ({"image": "http://a.b/c"}, 403)),
        *(({"query": "a" * 100_001}, 413), ({"query": "a", "explain": "yes"}, 422)),
    ],
)
def test_what_cannot_be_searched(client: TestClient, body: Any, status: int) -> None:
    assert client.post("/v1/search", json=body).status_code == status


def test_pictures_of_the_gallery_and_no_others(client: TestClient) -> None:
    hits = client.post("/v1/search", json={"query": "red", "top_n": 1}).json()["hits"]
    shown = client.get(hits[0]["picture"])
    assert shown.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(shown.content)).size == (80, 60)
    for bad in ("12", "-1", "abc", "..%2f..%2fetc%2fpasswd", "1e3", "9" * 30):
        assert client.get(f"/v1/pictures/{bad}").status_code == 404


def test_a_server_without_a_gallery() -> None:
    with serving() as client:
        assert client.post("/v1/search", json={"query": "a"}).status_code == 404
        assert client.get("/v1/pictures/0").status_code == 404
        assert client.get("/v1/gallery").json()["items"] is None


def test_a_gallery_that_is_replaced_while_it_is_served(tmp_path: Path) -> None:
    first, second = (photographs(tmp_path / name, 4, seed) for seed, name in enumerate("ab"))
    store = tmp_path / "store"
    cr.encode(ToyEncoder(), first, "image", NAMES, out=store)
    with serving(STAGE, gallery=store) as client:
        before = client.post("/v1/search", json={"query": "red"}).json()
        shutil.rmtree(store)
        assert client.post("/v1/search", json={"query": "red"}).status_code == 503
        cr.encode(ToyEncoder(), second, "image", NAMES, out=store)
        after = client.post("/v1/search", json={"query": "red"}).json()
        assert [h["id"] for h in after["hits"]] == [h.id for h in right("red", second, 4)]
        assert before["hits"] != after["hits"]
        (store / "collection.json").write_text("{}")
        broken = client.post("/v1/search", json={"query": "red"})
        assert broken.status_code == 503 and str(tmp_path) not in broken.text


def test_searches_while_a_gallery_is_replaced_again_and_again(tmp_path: Path) -> None:
    store, stores = tmp_path / "store", [tmp_path / "even", tmp_path / "odd"]
    for number, each in enumerate(stores):
        made = photographs(tmp_path / f"photographs{number}", 4 + number, number)
        cr.encode(ToyEncoder(), made, "image", NAMES, out=each)
    shutil.copytree(stores[0], store)
    answers: list[tuple[int, frozenset[str], int]] = []
    ended = threading.Event()

    def search(client: TestClient) -> None:
        while not ended.is_set():
            found = client.post("/v1/search", json={"query": "red"})
            body = found.json()
            ids = frozenset(hit["id"] for hit in body.get("hits", ()))
            answers.append((found.status_code, ids, body.get("gallery", 0)))

    with serving(STAGE, gallery=store) as client, ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(search, client) for _ in range(3)]
        try:
            for number in range(1, 13):
                seen = len(answers)
                shutil.rmtree(store)
                shutil.copytree(stores[number % 2], store)
                while len(answers) < seen + 3 and not any(one.done() for one in waiting):
                    time.sleep(0.01)
        finally:
            ended.set()
        for one in waiting:
            one.result()
    assert {status for status, _, _ in answers} <= {200, 503}
    whole = {size: frozenset(f"p{n:02}.png" for n in range(size)) for size in (4, 5)}
    found = [(ids, size) for status, ids, size in answers if status == 200]
    assert {size for _, size in found} == {4, 5}
    assert all(ids == whole[size] for ids, size in found)


def test_galleries_that_cannot_be_served(tmp_path: Path) -> None:
    made = engine(STAGE)
    reads = made.reads("image")
    (tmp_path / "empty").mkdir()
    cr.encode(
        ToyEncoder(),
        photographs(tmp_path / "some", 2),
        "image",
        ("size",),
        out=tmp_path / "lacking",
    )
    for name, said in (("absent", "neither"), ("empty", "no pictures"), ("lacking", "embedding")):
        with pytest.raises(CrossrankError, match=said):
            Gallery(tmp_path / name, made.encoder, reads)


def test_searches_beyond_the_limit_wait_elsewhere(folder: Path) -> None:
    with serving(STAGE, gallery=folder, limits=Limits(waiting=1)) as client:
        assert client.post("/v1/search", json={"query": "red"}).status_code == 200
    assert searching(engine(), None) is None


def test_the_page_and_its_modules(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "http://" not in page.text and "https://" not in page.text
    for name in ("main.js", "api.js", "cards.js", "details.js", "fusion.js", "heat.js", "page.css"):
        found = client.get(f"/page/{name}")
        assert found.status_code == 200 and "https://" not in found.text
    for name in ("absent.js", "..%2fapp.py", "__init__.py", "index.html.bak"):
        assert client.get(f"/page/{name}").status_code == 404
