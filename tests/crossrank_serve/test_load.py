"""Many at once, too slow, too late, gone: what each of them gets."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import crossrank as cr
from crossrank.errors import ParameterError
from crossrank_serve import server
from crossrank_serve.batching import BATCH_COST, Batcher, cost
from crossrank_serve.contents import Job, Piece
from crossrank_serve.limits import Limits, read_limits
from crossrank_serve.pace import Pace
from crossrank_serve.problems import RequestError
from crossrank_serve.records import Ranked
from toys.basic import ToyEncoder
from toys.serving import CountingEncoder, WordsReranker, listening, serving

ASKED = {"query": "a b", "documents": ["b", "c d", "a b"]}


def job(text: str = "a") -> Job:
    piece = Piece("query", text, None, text.encode())
    return Job((piece,), (piece,), None, 0)


def test_requests_that_wait_together_are_scored_together() -> None:
    batches: list[int] = []

    def rank(jobs: Sequence[Job]) -> list[Ranked | RequestError]:
        batches.append(len(jobs))
        time.sleep(0.05)
        return [Ranked((), tokens=len(str(each.query[0].text))) for each in jobs]

    async def all_at_once() -> list[Any]:
        batcher = Batcher(rank, 100)
        batcher.start()
        found = await asyncio.gather(*(batcher.rank([job("a" * n)]) for n in range(1, 21)))
        await batcher.stop()
        return found

    found = asyncio.run(all_at_once())
    assert [each[0].tokens for each in found] == list(range(1, 21))
    assert sum(batches) == 20 and len(batches) < 5


def test_a_batch_is_bounded_and_an_error_reaches_everybody_in_it() -> None:
    large = job("a" * BATCH_COST)
    assert cost(large) > BATCH_COST

    def rank(jobs: Sequence[Job]) -> list[Ranked | RequestError]:
        assert len(jobs) == 1
        raise RuntimeError("broken")

    async def two() -> list[Any]:
        batcher = Batcher(rank, 100)
        batcher.start()
        waiting = [batcher.rank([large]), batcher.rank([large])]
        found = await asyncio.gather(*waiting, return_exceptions=True)
        await batcher.stop()
        assert batcher.pending == 0
        return found

    assert [str(each) for each in asyncio.run(two())] == ["broken", "broken"]


def test_too_many_are_told_when_to_come_again() -> None:
    encoder = CountingEncoder()
    with serving(encoder=encoder, limits=Limits(waiting=2)) as client:
        while client.get("/ready").status_code != 200:
            time.sleep(0.01)
        encoder.gate.clear()
        with ThreadPoolExecutor(6) as pool:
            asked = [pool.submit(client.post, "/v1/rerank", json=ASKED) for _ in range(6)]
            while sum(each.done() for each in asked) < 4:
                time.sleep(0.01)
            encoder.gate.set()
            answers = [each.result() for each in asked]
    statuses = sorted(each.status_code for each in answers)
    assert statuses == [200, 200, 429, 429, 429, 429]
    refused = next(each for each in answers if each.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1


def test_who_waits_too_long_gets_504_and_the_next_one_an_answer() -> None:
    encoder = CountingEncoder()
    with serving(encoder=encoder) as client:
        while client.get("/ready").status_code != 200:
            time.sleep(0.01)
        encoder.gate.clear()
        late = client.post("/v1/rerank", json={**ASKED, "timeout": 0.1})
        assert late.status_code == 504
        encoder.gate.set()
        assert client.post("/v1/rerank", json=ASKED).status_code == 200


class SlowReranker(WordsReranker):
    """Takes its time."""

    info = cr.RerankerInfo(
        name="slow", summary="slow", query_features=("tokens",), candidate_features=("tokens",)
    )

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Score after a while."""
        time.sleep(0.4)
        return super().score(block, state)


def test_stages_for_which_there_is_no_time_are_left_out_and_said() -> None:
    stages = cr.Stage(WordsReranker()), cr.Stage(SlowReranker())
    with serving(*stages) as client:
        while client.get("/ready").status_code != 200:
            time.sleep(0.01)
        whole = client.post("/v2/rerank", json={**ASKED, "trace": True}).json()
        assert len(whole["results"][0]["trace"]) == 2 and "left_out" not in whole["meta"]
        body = {**ASKED, "timeout": 0.3, "trace": True}
        short = client.post("/v2/rerank", json=body)
        assert short.status_code == 200, short.text
        assert short.json()["meta"]["left_out"] == ["slow"]
        assert [each["stage"] for each in short.json()["results"][0]["trace"]] == ["words"]
        assert 'crossrank_stages_left_out_total{stage="slow"} 1.0' in client.get("/metrics").text


def test_pace_knows_what_fits() -> None:
    pace = Pace(3)
    assert pace.fitting(100, 0.0) == 3
    pace.measured(3, 10, 10.0)
    assert pace.fitting(10, 1.0) == 2
    pace.measured(2, 10, 5.0)
    assert pace.fitting(10, 1.0) == 1 and pace.fitting(10, 7.0) == 2 and pace.fitting(10, 13.0) == 3
    pace.measured(3, 10, 0.0)
    assert pace.fitting(10, 10.0) == 3


def test_a_slow_body_ends_with_408() -> None:
    with listening(limits=Limits(body_seconds=0.3)) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as connection:
            head = "POST /v1/rerank HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
            connection.sendall(f"{head}content-length: 1000\r\n\r\n{{".encode())
            connection.settimeout(10)
            assert b" 408 " in connection.recv(4096).partition(b"\r\n")[0]


def test_a_head_that_never_comes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)
    with listening() as url:
        host, _, port = url.removeprefix("http://").partition(":")
        for first in (b"", b"POST /v1/rerank HTTP/1.1\r\nhost:"):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(first)
                connection.settimeout(10)
                assert connection.recv(4096) == b""
        with socket.create_connection((host, int(port))) as connection:
            connection.settimeout(10)
            for _ in range(2):
                connection.sendall(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
                answer = b""
                while not answer.endswith(b"}"):
                    answer += connection.recv(4096)
                assert b" 200 " in answer
            connection.sendall(b"GET /hea")
            assert connection.recv(4096) == b""


def test_connections_that_close_half_way_harm_nobody() -> None:
    with listening() as url:
        host, _, port = url.removeprefix("http://").partition(":")
        for first in (b"", b"POST", b"\0\xff\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(first)
        head = b"POST /v1/rerank HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
        for _ in range(20):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(head + b"content-length: 1000\r\n\r\n{")
        assert len(cr.Client(url).rerank("a", ["b", "a"])) == 2


def test_connections_that_wait_to_be_accepted_are_taken_before_a_socket_is_closed() -> None:
    with server.listen("127.0.0.1", 0) as bound:
        address = bound.getsockname()
        with socket.create_connection(address) as one, socket.create_connection(address) as other:
            taken = list(server.accepted(bound))
            assert [each.getpeername() for each in taken] == [
                each.getsockname() for each in (one, other)
            ]
            for each in taken:
                each.close()


def test_limits_from_the_command_line() -> None:
    assert read_limits(["documents=10", "deadline=0.5"]) == Limits(documents=10, deadline=0.5)
    for bad in ("documents", "nothing=3", "documents=many", "documents=0", "deadline=-1", "=3"):
        with pytest.raises(ParameterError, match="serve"):
            read_limits([bad])


def test_a_server_under_threads_stays_right() -> None:
    texts = [f"{a} {b}" for a in "abcd" for b in "efgh"]
    right = {
        query: [hit.id for hit in _ranked(query, texts)] for query in ("a e", "b", "c h", "d f g")
    }
    with listening() as url:
        client = cr.Client(url)
        wrong: list[str] = []

        def ask(query: str) -> None:
            for _ in range(5):
                if [hit.id for hit in client.rerank(query, texts)] != right[query]:
                    wrong.append(query)

        threads = [threading.Thread(target=ask, args=(query,)) for query in right]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def _ranked(query: str, texts: list[str]) -> cr.Ranking:
    return cr.rerank(query, texts, WordsReranker(), encoder=ToyEncoder())
