"""How cores are shared among workers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import crossrank as cr
from crossrank_serve.batching import SHARE_COST, Batcher
from crossrank_serve.contents import Job, Piece
from crossrank_serve.records import Ranked
from crossrank_serve.threads import share_cores
from toys.serving import WordsReranker


class Alone(WordsReranker):
    """May not be scored by two threads."""

    info: ClassVar[cr.RerankerInfo] = cr.RerankerInfo(
        name="alone", summary="alone", query_features=("tokens",), thread_safe=False
    )


def test_workers_share_the_cores() -> None:
    safe = [cr.Stage(WordsReranker())]
    for cores, workers, threads in ((1, 1, 1), (2, 2, 1), (4, 4, 1), (16, 4, 4)):
        environment: dict[str, str] = {}
        assert share_cores(safe, None, cores, environment) == workers
        assert environment == {"OMP_NUM_THREADS": str(threads)}
    assert share_cores(safe, 1, 8, {}) == 1
    assert share_cores(safe, 16, 8, {}) == 16
    assert share_cores([*safe, cr.Stage(Alone())], None, 8, {}) == 1


def test_what_the_environment_says_is_left() -> None:
    safe = [cr.Stage(WordsReranker())]
    for said, workers in (("1", 4), ("2", 2), ("8", 1)):
        environment = {"OMP_NUM_THREADS": said}
        assert share_cores(safe, None, 4, environment) == workers
        assert environment == {"OMP_NUM_THREADS": said}
    assert share_cores(safe, None, 2, {"OMP_NUM_THREADS": "many"}) == 2


def test_a_worker_takes_its_share_of_what_waits() -> None:
    batches: list[int] = []
    both = threading.Barrier(2)

    def rank(jobs: Sequence[Job]) -> list[Any]:
        batches.append(len(jobs))
        both.wait(20)
        return [Ranked(()) for _ in jobs]

    async def many() -> None:
        text = "a" * SHARE_COST
        piece = Piece("query", text, None, b"key")
        batcher = Batcher(rank, 100, workers=2)
        asked = [batcher.rank([Job((piece,), (), None, 0)]) for _ in range(8)]
        waiting = [asyncio.ensure_future(each) for each in asked]
        await asyncio.sleep(0)
        batcher.start()
        await asyncio.gather(*waiting)
        await batcher.stop()

    asyncio.run(many())
    assert sum(batches) == 8 and batches[0] == 4 and len(batches) % 2 == 0
