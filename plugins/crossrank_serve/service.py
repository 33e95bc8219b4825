"""One server without its network: JSON in, JSON out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from crossrank_serve.batching import Batcher
from crossrank_serve.contents import Fetch, Job, job_of
from crossrank_serve.dialects import adapted, dialect_of
from crossrank_serve.engine import Engine
from crossrank_serve.fields import optional_text, read_json
from crossrank_serve.limits import Limits
from crossrank_serve.metrics import Metrics
from crossrank_serve.problems import RequestError
from crossrank_serve.records import Ask, Part, Ranked, Request
from crossrank_serve.searching import Searcher, described, read_search

logger = logging.getLogger(__name__)

SMALL = 65_536
"""Bytes of a body that is read here and not in a thread."""

FETCHING = 16
"""Threads that prepare requests where pictures may be fetched."""

EXPLAINED = 100
"""Hits of a request that are explained, best first."""


def refuse_addresses(reference: str) -> bytes:
    """Refuse to fetch anything."""
    raise RequestError(
        403,
        "this server fetches no picture from an address; send a data URI, or start it with "
        "--allow-url HOST",
    )


@dataclass(slots=True)
class State:
    """Where a server is in its life."""

    ready: bool = False
    draining: bool = False
    failed: str = ""


class Service:
    """An engine with its queue.

    Parameters
    ----------
    engine
        What scores.
    limits
        What may be asked.
    fetch
        Brings a picture from an address.
    names
        Models that may be asked for; none for any name.
    workers
        Threads that score.
    searcher
        Answers searches; None where there is no gallery.
    suggestions
        Queries that the page offers.
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        fetch: Fetch = refuse_addresses,
        names: Sequence[str] = (),
        workers: int = 1,
        searcher: Searcher | None = None,
        suggestions: Sequence[str] = (),
    ) -> None:
        self.engine = engine
        self.limits = limits
        self.names = tuple(names)
        self.searcher = searcher
        self.suggestions = tuple(suggestions)
        self.state = State()
        self._fetch = fetch
        self._searching = ThreadPoolExecutor(workers, "crossrank-search")
        self._searches = 0
        self._fetching = ThreadPoolExecutor(FETCHING, "crossrank-fetch")
        self._batcher = Batcher(
            engine.rank,
            limits.waiting,
            workers,
            batched=lambda size: self.metrics.batches.observe(size),
        )
        self.metrics = Metrics(engine.cache, lambda: self._batcher.pending)

    @property
    def name(self) -> str:
        """What the model is called in answers."""
        return self.names[0] if self.names else self.engine.name

    async def start(self) -> None:
        """Begin to score, and load the models meanwhile."""
        self._batcher.start()
        self._warming = asyncio.create_task(self._warm_up())

    async def stop(self) -> None:
        """End what is under way."""
        self.engine.close()
        self._warming.cancel()
        await self._batcher.stop()
        self._fetching.shutdown(wait=False, cancel_futures=True)
        self._searching.shutdown(wait=False, cancel_futures=True)

    async def answer(self, route: str, data: bytes, id: str, agent: str = "") -> Any:
        """Return the JSON value that answers a body, for a client that calls itself `agent`."""
        began = time.monotonic()
        body = await _elsewhere(len(data), read_json, data)
        body = adapted(route, body, agent)
        read, write = dialect_of(route, body)
        request = await _elsewhere(len(data), read, body)
        self.check_model(request.model)
        ranked = await self.ranked(request, len(data), began)
        return write(request, ranked, self.name, id)

    async def search(self, data: bytes, id: str) -> Any:
        """Return the JSON value that answers a search.

        Raises
        ------
        RequestError
            For anything that cannot be answered; 404 without a gallery.
        """
        searcher, began = self._searcher(), time.monotonic()
        body = await _elsewhere(len(data), read_json, data)
        self.check_model(optional_text(body, "model"))
        asked = read_search(body)
        if asked.depth > self.limits.documents:
            raise RequestError(413, f"depth is more than {self.limits.documents:,}; ask for less")
        request = Request(asks=(Ask(asked.query, ()),))
        if self._searches >= self.limits.waiting:
            raise RequestError(429, f"{self._searches} searches are waiting; try again soon", 1)
        self._searches += 1
        try:
            async with asyncio.timeout(self.limits.deadline):
                (job,) = await self._prepared(request, len(data), began + self.limits.deadline)
                loop = asyncio.get_running_loop()
                found = await loop.run_in_executor(self._searching, searcher.answer, asked, job)
        except TimeoutError:
            raise RequestError(
                504, f"not found within {self.limits.deadline:g} seconds; ask for less depth"
            ) from None
        finally:
            self._searches -= 1
        return {"id": id, **found}

    async def thumbnail(self, row: int) -> bytes:
        """Return a picture of the gallery; see `Gallery.thumbnail`."""
        gallery = self._searcher().gallery
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, gallery.thumbnail, row)

    def gallery(self) -> dict[str, Any]:
        """Describe what is searched, for the page."""
        items = None if self.searcher is None else self.searcher.gallery.current()
        return {
            "items": None if items is None else len(items),
            "modality": None if items is None else items.modality,
            "encoder": self.engine.encoder.info.name,
            "stages": [described(stage) for stage in self.engine.scored.stages],
            "suggestions": list(self.suggestions),
        }

    def _searcher(self) -> Searcher:
        if self.searcher is None:
            raise RequestError(404, "this server has no gallery; start it with --gallery FOLDER")
        return self.searcher

    async def ranked(self, request: Request, size: int, began: float) -> list[Ranked]:
        """Return what comes of each of a request's asks."""
        limit = self.limits.deadline
        seconds = limit if request.deadline is None else min(limit, request.deadline)
        until = began + seconds
        try:
            async with asyncio.timeout(until - time.monotonic()):
                jobs = await self._prepared(request, size, until)
                outcomes = await self._batcher.rank(jobs)
        except TimeoutError:
            raise RequestError(
                504, f"not scored within {seconds:g} seconds; send fewer documents or wait longer"
            ) from None
        for outcome in outcomes:
            if isinstance(outcome, RequestError):
                raise outcome
        self.metrics.documents.inc(sum(len(job.documents) for job in jobs))
        ranked = [outcome for outcome in outcomes if isinstance(outcome, Ranked)]
        for stage in {name for each in ranked for name in each.left_out}:
            self.metrics.left_out.labels(stage).inc()
        return ranked

    async def _prepared(self, request: Request, size: int, until: float) -> list[Job]:
        if self._fetch is refuse_addresses:
            return list(await _elsewhere(size, self._jobs, request, until))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._fetching, self._jobs, request, until)

    def _jobs(self, request: Request, until: float) -> list[Job]:
        if len(request.asks) > self.limits.documents:
            raise RequestError(
                413, f"more than {self.limits.documents:,} pairs; send fewer at once"
            )
        explain = 0
        if request.explain or request.spans is not None:
            explain = min(EXPLAINED, EXPLAINED if request.top is None else request.top)
        joint = self.engine.joint
        return [
            job_of(ask, self.limits, joint, explain, self._fetch, until) for ask in request.asks
        ]

    def check_model(self, model: str | None) -> None:
        """Refuse a model that is none of this server's; 404."""
        if model is not None and self.names and model not in self.names:
            raise RequestError(
                404, f"no model {model[:80]!r} here; there are {', '.join(self.names)}"
            )

    async def _warm_up(self) -> None:
        """Score once, so that the first request finds the models loaded."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, warm_up, self.engine, self.limits)
            self.state.ready = True
        except Exception as error:
            self.state.failed = str(error)
            logger.exception("the models could not be loaded")


def warm_up(engine: Engine, limits: Limits) -> None:
    """Load what an engine needs for the kinds of documents it knows.

    Raises
    ------
    RequestError
        Where it can score none of them.
    """
    problems = []
    for document in (Part("a picture"), Part(picture=PIXEL)):
        ask = Ask((Part("warming up"),), ((document,),))
        (outcome,) = engine.rank([job_of(ask, limits, engine.joint, 0, refuse_addresses)])
        if isinstance(outcome, RequestError):
            problems.append(outcome)
    if len(problems) == 2:
        raise problems[1]


PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)


async def _elsewhere(size: int, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function here, or in a thread where it has much to do."""
    if size <= SMALL:
        return function(*args)
    return await asyncio.get_running_loop().run_in_executor(None, function, *args)
