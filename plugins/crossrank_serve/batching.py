"""One queue before the scorer: requests that wait at the same time are scored together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from crossrank_serve.contents import Job, Piece
from crossrank_serve.problems import RequestError
from crossrank_serve.records import Ranked

Outcome = Ranked | RequestError
Rank = Callable[[Sequence[Job]], list[Outcome]]

PICTURE_COST = 4096
"""A picture in characters of text: what both take to encode, roughly."""

BATCH_COST = 262_144
"""What is scored at once: 64 new pictures, or a few thousand short texts."""

SHARE_COST = 8192
"""What is not shared out among workers: two new pictures, or a hundred short texts."""


@dataclass(slots=True)
class Waiting:
    """A request in the queue."""

    jobs: Sequence[Job]
    cost: int
    answer: asyncio.Future[list[Outcome]]


class Batcher:
    """Collects requests and hands them to worker threads.

    Parameters
    ----------
    rank
        Scores jobs, in a thread.
    most
        Requests that may wait or be scored; the next one is refused with 429.
    workers
        Threads that score.
    delay
        Seconds that a free worker waits for company.
    batched
        Called with the number of requests in each batch.
    """

    def __init__(
        self,
        rank: Rank,
        most: int,
        workers: int = 1,
        delay: float = 0.003,
        batched: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._rank = rank
        self._most = most
        self._delay = delay
        self._batched = batched
        self._queue: deque[Waiting] = deque()
        self._arrived = asyncio.Event()
        self._pool = ThreadPoolExecutor(workers, "crossrank-serve")
        self._workers = workers
        self._tasks: list[asyncio.Task[None]] = []
        self.pending = 0

    def start(self) -> None:
        """Begin to take from the queue."""
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._workers)]

    async def stop(self) -> None:
        """Take no more; what is being scored goes on in its thread, and nobody waits for it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def rank(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Return what comes of a request's jobs.

        Raises
        ------
        RequestError
            429 where too many wait.
        """
        if self.pending >= self._most:
            raise RequestError(
                429, f"{self.pending} requests are waiting; try again in a second", 1
            )
        answer: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        waiting = Waiting(jobs, sum(map(cost, jobs)), answer)
        self.pending += 1
        self._queue.append(waiting)
        self._arrived.set()
        try:
            return await answer
        finally:
            self.pending -= 1

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
            if self._delay:
                await asyncio.sleep(self._delay)
            batch = self._take()
            if not batch:
                continue
            self._batched(len(batch))
            jobs = [job for each in batch for job in each.jobs]
            try:
                outcomes = await loop.run_in_executor(self._pool, self._rank, jobs)
            except Exception as error:
                for each in batch:
                    if not each.answer.done():
                        each.answer.set_exception(error)
                continue
            start = 0
            for each in batch:
                end = start + len(each.jobs)
                if not each.answer.done():
                    each.answer.set_result(outcomes[start:end])
                start = end

    def _take(self) -> list[Waiting]:
        """Take a worker's share of what waits, at least one; who no longer waits is left out."""
        batch: list[Waiting] = []
        share = sum(each.cost for each in self._queue) // self._workers
        most = min(BATCH_COST, max(SHARE_COST, share))
        total = 0
        while self._queue:
            first = self._queue[0]
            if first.answer.done():
                self._queue.popleft()
                continue
            if batch and total + first.cost > most:
                break
            batch.append(self._queue.popleft())
            total += first.cost
        return batch


def cost(job: Job) -> int:
    """Return about what a job takes, in characters of text."""
    return sum(map(_cost, (*job.query, *job.documents)))


def _cost(piece: Piece) -> int:
    return 16 + len(piece.text or "") + (0 if piece.picture is None else PICTURE_COST)
