"""Throughput of ``crossrank serve`` beside a plain handler and beside the library in process.

``python benchmarks/serve.py [--part rates|mix|memory] [--seconds 8] [--clients 64] [--rounds 1]``

Three ways answer the same requests:

- ``serve``: ``crossrank serve --stage filip``, all defaults but the deadline;
- ``plain``: a starlette handler in one process that calls `crossrank.rerank`, features not kept,
  for one request at a time;
- ``library``: the same calls in a loop, without HTTP.

And three kinds of requests: ``texts``, a new query and ten short documents out of 500 that return
and have been asked for once; ``new texts``, where no document returns; ``pictures``, a new query
and four new pictures of 224 pixels.

``mix`` asks for a minute (``--mix-seconds``) for two of the first kind, one of the second and one
of the third in turn, tells what the process holds in memory meanwhile, and sends SIGTERM under
load: what was accepted is answered, and the exit code is 0.

``memory`` asks for the same mix (``--memory-seconds 600``) of a server that may keep 8 MiB of
features, which are full at once, and tells every minute what the process holds.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import itertools
import json
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

import crossrank as cr

POOL = 500
"""Documents that return."""

KINDS = ("texts", "new texts", "pictures")

KEPT = 8 << 20
"""Bytes of features that the server of ``memory`` may keep: those of about 200 pictures."""

WORDS = [
    *("a", "the", "two", "brown", "black", "white", "red", "dog", "dogs", "cat", "man", "woman"),
    *("boy", "girl", "child", "people", "street", "water", "snow", "grass", "ball", "bike", "car"),
    *("tree", "house", "field", "beach", "runs", "jumps", "plays", "sits", "stands", "swims"),
    *("walks", "through", "over", "near", "with", "in", "on", "under", "small", "large", "young"),
    *("old", "hat", "shirt", "park", "lake", "mountain", "table"),
]

PLAIN = """
import threading, uvicorn, sys, base64, io
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route
import crossrank as cr

lock = threading.Lock()

def read(document):
    if isinstance(document, str):
        return document
    return Image.open(io.BytesIO(base64.b64decode(document["image"].partition(",")[2])))

def score(body):
    with lock:
        documents = [read(each) for each in body["documents"]]
        ranking = cr.rerank(body["query"], documents, "filip", cache=False)
    return [{"index": int(hit.id), "relevance_score": hit.score} for hit in ranking]

async def rerank(request):
    return JSONResponse({"results": await run_in_threadpool(score, await request.json())})

async def ready(request):
    return JSONResponse({})

app = Starlette(routes=[Route("/v1/rerank", rerank, methods=["POST"]), Route("/ready", ready)])
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""


def sentence(rng: np.random.Generator) -> str:
    """Return five to nine words."""
    return " ".join(rng.choice(WORDS, rng.integers(5, 10)))


def photograph(rng: np.random.Generator) -> str:
    """Return a new picture as a data URI."""
    pixels = rng.integers(0, 256, (14, 14, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((224, 224), Image.Resampling.BICUBIC).save(file, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def requests(kind: str, seed: int) -> Iterator[dict[str, Any]]:
    """Yield requests without end."""
    rng = np.random.default_rng(seed)
    pool = [sentence(np.random.default_rng([7, n])) for n in range(POOL)]
    kinds = itertools.cycle(["texts", "new texts", "texts", "pictures"])
    while True:
        own = next(kinds) if kind == "mix" else kind
        if own == "pictures":
            documents: list[Any] = [{"image": photograph(rng)} for _ in range(4)]
        elif own == "texts":
            documents = [pool[n] for n in rng.choice(POOL, 10, replace=False)]
        else:
            documents = [sentence(rng) for _ in range(10)]
        yield {"query": sentence(rng), "documents": documents}


@dataclass(slots=True)
class Load:
    """What a load gave."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[Any] = field(default_factory=Counter)
    wall: float = 0.0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.statuses[200] / self.wall

    def __str__(self) -> str:
        """Return rate and percentiles."""
        times = sorted(self.seconds) or [0.0]
        p50, p99 = times[len(times) // 2], times[min(len(times) - 1, int(0.99 * len(times)))]
        return f"{self.rate:7.1f}/s  p50 {1000 * p50:6.0f} ms  p99 {1000 * p99:6.0f} ms"


class Connection:
    """One connection that is kept: a client that costs next to nothing beside the server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> tuple[int, dict[bytes, bytes]]:
        """Return status and headers of the answer to a body."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        head = (
            "POST /v1/rerank HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).rstrip().split(b"\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(b": ") for x in lines)}
        await reader.readexactly(int(headers[b"content-length"]))
        if headers.get(b"connection") == b"close":
            writer.close()
            self._streams = None
        return int(first.split()[1]), headers


async def load(
    port: int, kind: str, clients: int, seconds: float, at: Callable[[], None] | None = None
) -> Load:
    """Ask by several clients at once, each for its next answer when it has the last."""
    found = Load()
    pictures = kind in ("mix", "pictures")
    source = (json.dumps(each).encode() for each in requests(kind, time.time_ns() % 2**32))
    prepared = list(itertools.islice(source, min(1500, int(25 * seconds)) if pictures else 200))
    bodies = itertools.chain(prepared, source)
    ended = False
    began = time.perf_counter()

    async def one() -> None:
        connection = Connection(port)
        while not ended and time.perf_counter() - began < seconds:
            body = next(bodies)
            asked = time.perf_counter()
            try:
                status, headers = await connection.post(body)
            except (OSError, EOFError) as error:
                found.statuses[type(error).__name__] += 1
                return
            found.statuses[status] += 1
            found.seconds.append(time.perf_counter() - asked)
            if status == 429:
                await asyncio.sleep(float(headers[b"retry-after"]))

    async def stop() -> None:
        nonlocal ended
        if at is not None:
            await asyncio.sleep(seconds / 2)
            at()
            ended = True

    await asyncio.gather(stop(), *(one() for _ in range(clients)))
    found.wall = time.perf_counter() - began
    return found


@contextmanager
def running(which: str, port: int, *limits: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Start one of the servers."""
    command = [sys.executable, "-c", PLAIN, str(port)]
    if which == "serve":
        command = [
            sys.executable,
            "-m",
            "crossrank",
            "serve",
            "--port",
            str(port),
            *(f"--limit={each}" for each in ("deadline=900", *limits)),
        ]
    url = f"http://127.0.0.1:{port}"
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(3000):
            try:
                if httpx.get(f"{url}/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        httpx.post(f"{url}/v1/rerank", json=next(requests("texts", 99)), timeout=900)
        httpx.post(f"{url}/v1/rerank", json=next(requests("pictures", 99)), timeout=900)
        yield port, child
    finally:
        child.kill()
        child.wait()


def warm(port: int) -> None:
    """Ask for every document that returns, once."""
    pool = [sentence(np.random.default_rng([7, n])) for n in range(POOL)]
    for start in range(0, POOL, 50):
        body = {"query": "a dog", "documents": pool[start : start + 50]}
        httpx.post(f"http://127.0.0.1:{port}/v1/rerank", json=body, timeout=900)


def in_process(kind: str, seconds: float) -> Load:
    """Rerank in a loop."""
    found = Load()
    source = requests(kind, 5)
    cr.rerank("a dog", ["a dog", "a cat"], "filip", cache=False)
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        body = next(source)
        documents: list[Any] = [
            each
            if isinstance(each, str)
            else Image.open(io.BytesIO(base64.b64decode(each["image"].partition(",")[2])))
            for each in body["documents"]
        ]
        asked = time.perf_counter()
        cr.rerank(body["query"], documents, "filip", cache=False)
        found.seconds.append(time.perf_counter() - asked)
        found.statuses[200] += 1
    found.wall = time.perf_counter() - began
    return found


def memory(child: subprocess.Popen[bytes]) -> float:
    """Return what a process holds, in MB."""
    status = Path(f"/proc/{child.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def rates(clients: int, seconds: float, rounds: int) -> None:
    """Print answers per second of each kind, ours beside the others'."""
    found: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds):
        for which in ("serve", "plain"):
            with running(which, 8300 + number) as (port, _):
                if which == "serve":
                    warm(port)
                for kind in KINDS:
                    made = asyncio.run(load(port, kind, clients, seconds))
                    found.setdefault((kind, which), []).append(made.rate)
                    others = {key: n for key, n in made.statuses.items() if key != 200}
                    print(f"{kind:10} {which:8} {made}  {others or ''}", flush=True)
    for kind in KINDS:
        print(f"{kind:10} library  {in_process(kind, seconds / 2)}", flush=True)
        pairs = zip(found[kind, "serve"], found[kind, "plain"], strict=True)
        ratios = [ours / plain for ours, plain in pairs]
        least, median = min(ratios), statistics.median(ratios)
        print(f"{kind:10} serve / plain: {least:.2f} at least, {median:.2f} median", flush=True)


def mix(clients: int, seconds: float, limits: list[str]) -> None:
    """Print rate and percentiles of all kinds together, memory, and what SIGTERM loses."""
    with running("serve", 8350, *limits) as (port, child):
        warm(port)
        sizes, parts = [], max(4, round(seconds / 60))
        for _ in range(parts):
            made = asyncio.run(load(port, "mix", clients, seconds / parts))
            sizes.append(round(memory(child)))
            statuses = json.dumps({str(key): n for key, n in made.statuses.items()})
            print(f"mix        serve    {made}  {statuses}  {sizes[-1]} MB", flush=True)
        print("memory after each part, MB:", sizes)
        made = asyncio.run(
            load(port, "mix", clients, 6.0, lambda: child.send_signal(signal.SIGTERM))
        )
        print(f"SIGTERM under load: {dict(made.statuses)}, exit code {child.wait(60)}")


def held(clients: int, seconds: float) -> None:
    """Print what the server holds in memory, minute by minute, when its cache is full."""
    with running("serve", 8360, f"feature_bytes={KEPT}") as (port, child):
        warm(port)
        sizes, answered, parts = [memory(child)], 0, max(1, round(seconds / 60))
        print(f"memory     serve    at first {sizes[0]:.1f} MB", flush=True)
        for minute in range(1, parts + 1):
            made = asyncio.run(load(port, "mix", clients, seconds / parts))
            answered += made.statuses[200]
            sizes.append(memory(child))
            said = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
            kept = float(said.partition("\ncrossrank_cached_bytes ")[2].split()[0])
            others = {key: n for key, n in made.statuses.items() if key != 200}
            print(
                f"minute {minute:2}  {made}  {others or ''} {sizes[-1]:.1f} MB, "
                f"{kept / (1 << 20):.1f} of them features",
                flush=True,
            )
        later = sizes[1:]
        print(
            f"{answered} answered; after the first minute {min(later):.1f} to {max(later):.1f} MB, "
            f"{later[-1] - later[0]:+.1f} from there to the end"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=["all", "rates", "mix", "memory"], default="all")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--mix-seconds", type=float, default=60.0)
    parser.add_argument("--memory-seconds", type=float, default=600.0)
    parser.add_argument("--limit", action="append", default=[], help="of crossrank serve")
    asked = parser.parse_args()
    if asked.part in ("all", "rates"):
        rates(asked.clients, asked.seconds, asked.rounds)
    if asked.part in ("all", "mix"):
        mix(asked.clients, asked.mix_seconds, asked.limit)
    if asked.part == "memory":
        held(asked.clients, asked.memory_seconds)


if __name__ == "__main__":
    main()
