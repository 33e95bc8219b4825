r"""Send random requests to every route of ``crossrank serve``; counts add up over runs.

    python research/serve_fuzz.py --requests 10000 --seconds 600 -o out/serve_fuzz.json

Valid requests of every dialect are made wrong somewhere: a field is missing, null, of another type
or huge, a picture is broken, the JSON is damaged, a header lies.  They go to the whole application
(the encoder lite, ``filip``, a gallery of four pictures) in process, eight at a time, so that good
and bad ones share a batch.  No status may be 500, every error has the one body, no answer may tell
of the machine, none may take longer than a minute, and memory may not grow once the features that
are kept fill their 4 MiB.  A request that did otherwise is printed with its number, which makes it
again.  The file is written every thousand requests, so that a run may be ended at any time.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import copy
import io
import json
import logging
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import crossrank as cr
from crossrank_serve.app import build_app
from crossrank_serve.engine import Engine
from crossrank_serve.gallery import Gallery
from crossrank_serve.limits import Limits
from crossrank_serve.searching import Searcher
from crossrank_serve.service import Service

LIMITS = Limits(
    body_bytes=300_000, documents=40, text_characters=5000, deadline=25.0, feature_bytes=4 << 20
)
TOGETHER = 8
"""Requests under way at once."""
SECONDS = 60.0
"""An answer that takes longer hangs: the server's own deadline is over by then."""
PORTION = 1000
"""Requests between two looks at the memory, and two writings of the counts."""
ERROR = {"detail", "message", "error", "error_type", "code", "request_id"}

Headers = list[tuple[bytes, bytes]]


def _red() -> str:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (255, 0, 0)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


BARE = _red()
URI = f"data:image/png;base64,{BARE}"
PARTS = [{"type": "image_url", "image_url": {"url": URI}}, {"type": "text", "text": "red"}]
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/rerank", {"query": "a b", "documents": ["b", {"text": "c"}], "top_n": 1, "model": "m"}),
    ("/v1/rerank", {"query": "a", "documents": ["b", "c"], "top_k": None, "truncation": True}),
    ("/v1/rerank", {"query": {"image": URI}, "documents": [{"image": BARE}]}),
    ("/v2/rerank", {"query": "a", "documents": ["b a"], "relevant_spans": {"mode": "enabled"}}),
    ("/v2/rerank", {"query": PARTS, "documents": [{"content": PARTS[:1]}], "explain": True}),
    ("/rerank", {"query": "a", "texts": ["b", "c"], "return_text": True, "raw_scores": False}),
    ("/rerank", {"query": "a", "documents": {"content": PARTS}, "base_scores": [1, 2.5]}),
    ("/score", {"text_1": ["a", "b"], "text_2": ["c", "d"]}),
    ("/v1/score", {"data_1": "a", "data_2": {"content": PARTS}}),
    ("/v1/search", {"text": "red", "image": URI, "depth": 3, "top_n": 2, "explain": True}),
    ("/v1/search", {"query": "red", "ids": ["p0.png"]}),
]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**63, 10**400, 1e308, -0.5, "", " ", "a", "\0", "\ud800"),
    *("\U0001f600" * 50, "A" * 6000, "data:image/png;base64,", "data:text/html,x", URI),
    *("data:image/svg+xml;base64,PHN2Zy8+", "https://a.b/c.png", "file:///etc/passwd", "../../x"),
    *([], [[]], [None], ["a"] * 41, {}, {"text": "a"}, {"image": "x"}, {"content": []}, [[["a"]]]),
    *({"url": "x"}, {"type": "image_url"}, "NaN", "1", ["a", 1], {"": ""}, [{}], "a\r\nx: y"),
    *(BARE[:60], {"image": BARE[:90]}, {"text": "a", "image": URI}, "\u202e", "\uff46\uff55"),
]
BODIES = [b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"a":NaN}', b"[" * 5000, b"0" * 400_000]
JSON = (b"content-type", b"application/json")
HEADERS: list[Headers] = [
    *([(b"content-type", b"text/plain")], [(b"content-type", b"application/json; charset=x")]),
    *([(b"authorization", b"Bearer \xff")], [(b"content-encoding", b"gzip")], []),
    *([(b"content-length", b"-5")], [(b"content-length", b"99999999999")], [(b"host", b"\xff")]),
    *([(b"x-request-id", b"a\tb")], [JSON, JSON]),
]
ADDED = ["explain", "top_n", "timeout", "base_scores", "text", "ids", "rank_fields", "trace"]
PATHS = ["/", "/nothing", "/v1/models", "/v1/pictures/x", "/v1/pictures/99", "/page/%00", "//"]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every node below a value."""
    if not isinstance(value, dict | list):
        return
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        yield from places(each, (*path, key))


def request_of(number: int) -> tuple[str, bytes, Headers]:
    """Return route, body and headers of a request that is wrong somewhere, mostly."""
    rng = random.Random(number)
    route, body = copy.deepcopy(rng.choice(SEEDS))
    headers: Headers = [JSON]
    if rng.random() < 0.05:
        return route, rng.choice(BODIES), headers
    if rng.random() < 0.05:
        headers = list(rng.choice(HEADERS))
    if rng.random() < 0.02:
        route = rng.choice(PATHS)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        _change(body, rng)
    data = json.dumps(body).encode()
    if rng.random() < 0.05:
        cut = rng.randrange(len(data))
        data = data[:cut] + bytes([rng.randrange(256)]) + data[cut + 1 :]
    return route, data, headers


def _change(body: dict[str, Any], rng: random.Random) -> None:
    ways = list(places(body))
    if not ways:
        return
    *way, last = rng.choice(ways)
    parent: Any = body
    for key in way:
        parent = parent[key]
    action = rng.random()
    if action < 0.15:
        del parent[last]
    elif action < 0.25 and isinstance(parent, dict):
        parent[rng.choice(ADDED)] = copy.deepcopy(rng.choice(VALUES))
    else:
        parent[last] = copy.deepcopy(rng.choice(VALUES))


async def ask(app: Any, route: str, data: bytes, headers: Headers) -> tuple[int, bytes]:
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
    async with asyncio.timeout(SECONDS):
        await app(scope, receive, send)
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent[1:])


@dataclass(slots=True)
class Found:
    """What came of some requests.

    Parameters
    ----------
    requests
        How many were sent.
    statuses
        How often each came.
    faults
        What should not have come, with the request's number.
    memory
        MB that the process held before, and at every thousandth request.
    cached
        MB of it that were kept features, likewise.
    """

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[dict[str, Any]] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    cached: list[float] = field(default_factory=list)

    def look(self, service: Service) -> None:
        """Note what memory is held."""
        self.memory.append(resident() >> 20)
        self.cached.append(round(service.engine.cache.used / (1 << 20), 1))


def fault(status: int, body: bytes) -> str | None:
    """Say what is wrong with an answer."""
    if status == 500:
        return f"500: {body[:300].decode(errors='replace')}"
    if b"Traceback" in body or b"/plugins/" in body or b"site-packages" in body:
        return "it tells of the machine"
    if status < 400:
        return None
    try:
        return None if set(json.loads(body)) == ERROR else "another error body"
    except ValueError:
        return "an error that is no JSON"


async def fuzz(
    service: Service,
    first: int,
    count: int,
    seconds: float = float("inf"),
    keep: Callable[[Found], None] = lambda found: None,
) -> Found:
    """Send the requests from number `first` on; end early after so many seconds.

    `keep` is called with what was found so far, every thousand requests and at the end.
    """
    app, found, began = build_app(service), Found(), time.monotonic()
    await service.start()
    while not (service.state.ready or service.state.failed):
        await asyncio.sleep(0.05)

    async def one(number: int) -> None:
        before = time.process_time()
        try:
            status, body = await ask(app, *request_of(number))
        except Exception as error:
            used = time.process_time() - before  # little of it: the machine was busy elsewhere
            what = f"{type(error).__name__}: {error} after {used:.1f} seconds of processor"
            found.faults.append({"number": number, "what": what})
            return
        found.statuses[status] += 1
        if (wrong := fault(status, body)) is not None:
            found.faults.append({"number": number, "what": wrong})

    for start in range(first, first + count, TOGETHER):
        if time.monotonic() - began > seconds:
            break
        if found.requests % PORTION < TOGETHER:
            found.look(service)
            keep(found)
        numbers = range(start, min(start + TOGETHER, first + count))
        await asyncio.gather(*map(one, numbers))
        found.requests += len(numbers)
    found.look(service)
    keep(found)
    await service.stop()
    return found


def resident() -> int:
    """Return how many bytes this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def pictures_in(folder: Path) -> None:
    """Write the four pictures of a gallery."""
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"p{number}.png")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--requests", type=int, default=10_000)
    arguments.add_argument("--seconds", type=float, default=float("inf"))
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    before: dict[str, Any] = {"requests": 0, "statuses": {}, "faults": [], "runs": []}
    if given.output.exists():
        before = json.loads(given.output.read_text(encoding="utf-8"))
    logging.getLogger("crossrank").setLevel(logging.ERROR)  # which tells of short lists, rightly

    def keep(found: Found) -> None:
        write(added(before, found), given.output)

    with tempfile.TemporaryDirectory() as folder:
        pictures_in(Path(folder))
        engine = Engine([cr.Stage("filip")], "lite", LIMITS)
        gallery = Gallery(Path(folder), engine.encoder, engine.reads("image"))
        service = Service(engine, LIMITS, searcher=Searcher(engine, gallery))
        first = before["requests"]
        found = asyncio.run(fuzz(service, first, given.requests, given.seconds, keep))
    for each in found.faults:
        print(json.dumps(each))
    record = added(before, found)
    print(
        f"{record['requests']:,} requests so far, {len(record['faults'])} faults; statuses "
        f"{record['statuses']}; MB at every thousandth of this run {found.memory}, of which kept "
        f"features {found.cached}"
    )


def added(before: Mapping[str, Any], found: Found) -> dict[str, Any]:
    """Return the record of earlier runs with this one's."""
    statuses = Counter({int(key): n for key, n in before["statuses"].items()}) + found.statuses
    return {
        "requests": before["requests"] + found.requests,
        "statuses": {str(key): n for key, n in sorted(statuses.items())},
        "faults": [*before["faults"], *found.faults],
        "runs": [*before["runs"], {"memory": found.memory, "cached": found.cached}],
    }


def write(record: Mapping[str, Any], output: Path) -> None:
    """Write a record, whole or not at all."""
    partial = output.with_suffix(".partial")
    partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    partial.replace(output)


if __name__ == "__main__":
    main()
