"""Random requests of every route: no status 500, no hang, no growth.

``CROSSRANK_FUZZ=100000 pytest tests/crossrank_serve/test_serve_fuzz.py`` takes more of them.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossrank_serve.app import build_app
from crossrank_serve.limits import Limits
from crossrank_serve.service import Service
from toys.serving import bare, data_uri, engine, picture, searching

COUNT = int(os.environ.get("CROSSRANK_FUZZ", "1500"))
LIMITS = Limits(body_bytes=300_000, documents=40, text_characters=5000, deadline=20.0)

PARTS = [{"type": "image_url", "image_url": {"url": data_uri()}}, {"type": "text", "text": "red"}]
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/rerank", {"query": "a b", "documents": ["b", {"text": "c"}], "top_n": 1, "model": "m"}),
    ("/v1/rerank", {"query": "a", "documents": ["b", "c"], "top_k": None, "truncation": True}),
    ("/v1/rerank", {"query": {"image": data_uri()}, "documents": [{"image": bare()}]}),
    ("/v2/rerank", {"query": "a", "documents": ["b a"], "relevant_spans": {"mode": "enabled"}}),
    ("/v2/rerank", {"query": PARTS, "documents": [{"content": PARTS[:1]}], "explain": True}),
    ("/rerank", {"query": "a", "texts": ["b", "c"], "return_text": True, "raw_scores": False}),
    ("/rerank", {"query": "a", "documents": {"content": PARTS}, "base_scores": [1, 2.5]}),
    ("/score", {"text_1": ["a", "b"], "text_2": ["c", "d"]}),
    ("/v1/score", {"data_1": "a", "data_2": {"content": PARTS}}),
    ("/v1/search", {"text": "red", "image": data_uri(), "depth": 3, "top_n": 2, "explain": True}),
    ("/v1/search", {"query": "red", "ids": ["p0.png"]}),
]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**63, 10**400, 1e308, -0.5, "", " ", "a", "\0", "\ud800"),
    *("\U0001f600" * 50, "A" * 6000, "data:image/png;base64,", "data:text/html,x", data_uri()),
    *("data:image/svg+xml;base64,PHN2Zy8+", "https://a.b/c.png", "file:///etc/passwd", "../../x"),
    *([], [[]], [None], ["a"] * 41, {}, {"text": "a"}, {"image": "x"}, {"content": []}, [[["a"]]]),
    *({"url": "x"}, {"type": "image_url"}, "NaN", "1", ["a", 1], {"": ""}, [{}], "a\r\nx: y"),
    *(
        bare()[:60],
        {"image": bare()[:90]},
        {"text": "a", "image": data_uri()},
        "\u202e",
        "ｆｕｌｌ",
    ),
]
BODIES = [b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"a":NaN}', b"[" * 5000, b"0" * 400_000]
HEADERS = [
    *([(b"content-type", b"text/plain")], [(b"content-type", b"application/json; charset=x")]),
    *([(b"authorization", b"Bearer \xff")], [(b"content-encoding", b"gzip")], []),
    *([(b"content-length", b"-5")], [(b"content-length", b"99999999999")], [(b"host", b"\xff")]),
    *([(b"x-request-id", b"a\tb")], [(b"content-type", b"application/json")] * 1),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every node below a value."""
    if not isinstance(value, dict | list):
        return
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        yield from places(each, (*path, key))


def mutated(rng: random.Random) -> tuple[str, bytes, list[tuple[bytes, bytes]]]:
    """Return route, body and headers of a request that is wrong somewhere, mostly."""
    route, body = copy.deepcopy(rng.choice(SEEDS))
    headers = [(b"content-type", b"application/json")]
    if rng.random() < 0.05:
        return route, rng.choice(BODIES), headers
    if rng.random() < 0.05:
        headers = list(rng.choice(HEADERS))
    if rng.random() < 0.02:
        route = rng.choice(["/", "/nothing", "/v1/models", "/v1/pictures/x", "/page/%00", "//"])
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        ways = list(places(body))
        if not ways:
            break
        *way, last = rng.choice(ways)
        parent = body
        for key in way:
            parent = parent[key]
        action = rng.random()
        if action < 0.15:
            del parent[last]
        elif action < 0.25 and isinstance(parent, dict):
            parent[rng.choice(["explain", "top_n", "timeout", "base_scores", "text", "ids"])] = (
                rng.choice(VALUES)
            )
        else:
            parent[last] = copy.deepcopy(rng.choice(VALUES))
    data = json.dumps(body).encode()
    if rng.random() < 0.05:
        cut = rng.randrange(len(data))
        data = data[:cut] + bytes([rng.randrange(256)]) + data[cut + 1 :]
    return route, data, headers


async def ask(app: Any, route: str, data: bytes, headers: list[tuple[bytes, bytes]]) -> Any:
    """Return status and body of an answer, over ASGI itself."""
    sent: list[Any] = []
    parts = iter([{"type": "http.request", "body": data, "more_body": False}])

    async def receive() -> Any:
        return next(parts, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": route,
        "raw_path": route.encode(),
        "query_string": b"",
        "headers": headers,
        "http_version": "1.1",
        "scheme": "http",
        "server": ("test", 80),
        "client": ("test", 1),
        "root_path": "",
        "asgi": {"version": "3.0"},
    }
    async with asyncio.timeout(30):
        await app(scope, receive, send)
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent[1:])


def resident() -> int:
    """Return how many bytes this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def fuzz(service: Service, count: int) -> tuple[Counter[int], list[Any], list[int]]:
    app = build_app(service)
    await service.start()
    rng = random.Random(0)
    statuses: Counter[int] = Counter()
    wrong, sizes = [], []
    for number in range(count):
        if number % max(1, count // 4) == 0:
            sizes.append(resident())
        request = mutated(rng)
        status, body = await ask(app, *request)
        statuses[status] += 1
        error = status >= 400 and set(json.loads(body)) != ERROR
        if status == 500 or error or b"Traceback" in body or b"/plugins/" in body:
            wrong.append((request, status, body))
    sizes.append(resident())
    await service.stop()
    return statuses, wrong, sizes


ERROR = {"detail", "message", "error", "error_type", "code", "request_id"}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells its memory")
def test_random_requests(tmp_path: Path) -> None:
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"p{number}.png")
    made = engine(limits=LIMITS)
    service = Service(made, LIMITS, searcher=searching(made, tmp_path))
    statuses, wrong, sizes = asyncio.run(fuzz(service, COUNT))
    assert not wrong, wrong[:3]
    assert statuses[200] > COUNT / 20 and statuses[422] > COUNT / 20
    assert picture() and sizes[-1] - sizes[1] < 64 * 2**20, [size >> 20 for size in sizes]
