"""Throughput of ``crossrank serve`` beside a plain handler and beside the library in process.

``python benchmarks/serve.py [--seconds 20] [--clients 64]``

Three ways answer the same requests:

- ``serve``: ``crossrank serve --stage filip``, all defaults but the deadline;
- ``plain``: a starlette handler in one process that calls `crossrank.rerank`, features not kept,
  for one request at a time;
- ``library``: the same calls in a loop, without HTTP.

And three kinds of requests: ``texts``, a new query and ten short documents out of 500 that return
and have been asked for once; ``new texts``, where no document returns; ``pictures``, a new query
and four new pictures of 224 pixels.

Beside answers per second stand answers per second of the server's own processor time, which other
programs on the machine disturb less.  At the end ``serve`` gets a mix of all three and SIGTERM
under load: what was accepted is answered, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import itertools
import json
import os
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
    processor: float = 0.0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.statuses[200] / self.wall

    def __str__(self) -> str:
        """Return rate and percentiles."""
        times = sorted(self.seconds) or [0.0]
        p50, p99 = times[len(times) // 2], times[min(len(times) - 1, int(0.99 * len(times)))]
        own = f"{self.statuses[200] / self.processor:7.1f}/s of processor" if self.processor else ""
        return f"{self.rate:7.1f}/s {own:24}  p50 {1000 * p50:6.0f} ms  p99 {1000 * p99:6.0f} ms"


async def load(
    url: str, kind: str, clients: int, seconds: float, at: Callable[[], None] | None = None
) -> Load:
    """Ask by several clients at once, each for its next answer when it has the last."""
    found = Load()
    began = time.perf_counter()
    prepared = [list(itertools.islice(requests(kind, seed), 6)) for seed in range(clients)]
    sources = [requests(kind, 1000 + seed) for seed in range(clients)]
    began = time.perf_counter()
    ended = False
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(timeout=900, limits=limits, trust_env=False) as client:

        async def one(number: int) -> None:
            own = itertools.chain(prepared[number], sources[number])
            while not ended and time.perf_counter() - began < seconds:
                asked = time.perf_counter()
                try:
                    answer = await client.post(f"{url}/v1/rerank", json=next(own))
                    found.statuses[answer.status_code] += 1
                except httpx.TransportError as error:
                    found.statuses[type(error).__name__] += 1
                    return
                found.seconds.append(time.perf_counter() - asked)
                if answer.status_code == 429:
                    await asyncio.sleep(float(answer.headers["retry-after"]))

        async def stop() -> None:
            nonlocal ended
            if at is not None:
                await asyncio.sleep(seconds / 2)
                at()
                ended = True

        await asyncio.gather(stop(), *(one(number) for number in range(clients)))
    found.wall = time.perf_counter() - began
    return found


@contextmanager
def running(which: str, port: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
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
            "--limit",
            "deadline=900",
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
        yield url, child
    finally:
        child.kill()
        child.wait()


def warm(url: str) -> None:
    """Ask for every document that returns, once."""
    pool = [sentence(np.random.default_rng([7, n])) for n in range(POOL)]
    for start in range(0, POOL, 50):
        body = {"query": "a dog", "documents": pool[start : start + 50]}
        httpx.post(f"{url}/v1/rerank", json=body, timeout=900)


def processor_seconds(child: subprocess.Popen[bytes]) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def in_process(kind: str, seconds: float) -> Load:
    """Rerank in a loop."""
    found = Load()
    source = requests(kind, 5)
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


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--mix-seconds", type=float, default=60.0)
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rates: dict[tuple[str, str], list[float]] = {}
    for number in range(asked.rounds):
        for which in ("serve", "plain"):
            with running(which, 8300 + number) as (url, child):
                if which == "serve":
                    warm(url)
                for kind in ("texts", "new texts", "pictures"):
                    before = processor_seconds(child)
                    made = asyncio.run(load(url, kind, asked.clients, asked.seconds))
                    made.processor = processor_seconds(child) - before
                    rates.setdefault((kind, which), []).append(made.statuses[200] / made.processor)
                    others = {key: n for key, n in made.statuses.items() if key != 200}
                    print(f"{kind:10} {which:8} {made}  {others or ''}", flush=True)
    for kind in ("texts", "new texts", "pictures"):
        made = in_process(kind, asked.seconds / 2)
        print(f"{kind:10} library  {made}", flush=True)
        ours, plain = rates[kind, "serve"], rates[kind, "plain"]
        ratios = [left / right for left, right in zip(ours, plain, strict=True)]
        least, median = min(ratios), statistics.median(ratios)
        print(
            f"{kind:10} serve / plain by processor time: {least:.2f} at least, {median:.2f} median"
        )
    with running("serve", 8350) as (url, child):
        sizes = []
        for _ in range(4):
            made = asyncio.run(load(url, "mix", asked.clients, asked.mix_seconds / 4))
            sizes.append(memory(child))
            statuses = json.dumps({str(key): n for key, n in made.statuses.items()})
            print(f"mix        serve    {made}  {statuses}", flush=True)
        print("memory after each quarter, MB:", [round(size) for size in sizes])
        made = asyncio.run(
            load(url, "mix", asked.clients, 6.0, lambda: child.send_signal(signal.SIGTERM))
        )
        print(f"SIGTERM under load: {dict(made.statuses)}, exit code {child.wait(60)}")


if __name__ == "__main__":
    main()
