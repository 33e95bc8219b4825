"""The command as a process: it listens, answers, and ends as it should."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

import crossrank as cr
from crossrank.cli import main

TOYS = Path(__file__).parents[1]
BOOT = """
import crossrank as cr
from toys.basic import ToyEncoder
from toys.serving import WordsReranker
cr.register(ToyEncoder)
cr.register(WordsReranker)
from crossrank.__main__ import main
main()
"""

STUCK = """
import time
from crossrank_serve import server
server.GRACE_SECONDS, server.LAST_SECONDS = 1, 1.0
from toys.serving import WordsReranker
def stuck(self, block, state, score=WordsReranker.score):
    time.sleep(300 if len(block.pairs().candidates) == 2 else 0)
    return score(self, block, state)
WordsReranker.score = stuck
"""
"""A scorer that does not come to an end where there are two documents, and a short time to end."""


@contextmanager
def served(
    *options: str, before: str = "", **env: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command with toys, on a free port; kill it at the end if it still runs."""
    child = subprocess.Popen(
        [sys.executable, "-c", before + BOOT, "serve", "--encoder", "toy", "--port", "0", *options],
        env={**os.environ, "PYTHONPATH": str(TOYS), "OMP_NUM_THREADS": "1", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + (child.communicate()[1] if child.poll() is not None else "")
        yield child, found[0]
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


def until_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("not ready within a minute")


def test_it_answers_and_ends_with_zero_on_sigterm() -> None:
    with served("--stage", "words") as (child, url):
        assert url.startswith("http://127.0.0.1:")
        until_ready(url)
        rebound = httpx.get(f"{url}/v1/models", headers={"host": "evil.example"})
        assert rebound.status_code == 403
        named = httpx.get(f"{url}/v1/models", headers={"host": "LOCALHOST:1"})
        assert named.status_code == 200
        asked = {"query": "a b", "documents": ["b", "a b"]}
        body = httpx.post(f"{url}/v1/rerank", json=asked).json()
        assert [each["index"] for each in body["results"]] == [1, 0]
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/health")


def test_after_sigterm_every_answer_closes_its_connection() -> None:
    slowly = "from crossrank_serve import server\nserver.DRAIN_SECONDS = 5.0\n"
    with served("--stage", "words", before=slowly) as (child, url):
        until_ready(url)
        assert "connection" not in httpx.get(f"{url}/health").headers
        child.send_signal(signal.SIGTERM)
        while httpx.get(f"{url}/ready").status_code == 200:
            time.sleep(0.02)
        asked = {"query": "a b", "documents": ["b", "a b"]}
        last = httpx.post(f"{url}/v1/rerank", json=asked)
        assert last.status_code == 200 and last.headers["connection"] == "close"
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as late:  # asks when none is accepted
            until_refused(port)
            late.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert b" 200 " in late.recv(4096)
        assert child.wait(20) == 0


def until_refused(port: int) -> None:
    for _ in range(400):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.05)
    raise AssertionError("connections are accepted for ever")


@pytest.mark.parametrize("signals", [1, 2])
def test_what_does_not_come_to_an_end_is_not_waited_for(signals: int) -> None:
    with served("--stage", "words", before=STUCK) as (child, url), ThreadPoolExecutor() as pool:
        until_ready(url)
        asked = {"query": "a b", "documents": ["b", "a b"]}
        answer = pool.submit(httpx.post, f"{url}/v1/rerank", json=asked, timeout=60)
        while "crossrank_pending_requests 1" not in httpx.get(f"{url}/metrics").text:
            time.sleep(0.05)
        for _ in range(signals):
            child.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        assert child.wait(20) == 0
        told = answer.result()
        assert told.status_code == 503 and told.json()["error_type"] == "unavailable"


def ask_until_it_ends(url: str, answers: list[int], ended: threading.Event) -> None:
    """Ask again and again; a connection that is refused ends it, one that breaks is a fault."""
    asked = {"query": "a b", "documents": ["b", "a b"]}
    with httpx.Client(timeout=30) as client:
        while not ended.is_set():
            try:
                answers.append(client.post(f"{url}/v1/rerank", json=asked).status_code)
            except httpx.ConnectError:
                return
            except httpx.TransportError:
                answers.append(0)
                return


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_under_load_nothing_is_lost_on_sigterm_and_a_kill_leaves_nothing(number: int) -> None:
    with served("--stage", "words") as (child, url):
        until_ready(url)
        answers: list[list[int]] = [[] for _ in range(8)]
        ended = threading.Event()
        threads = [
            threading.Thread(target=ask_until_it_ends, args=(url, each, ended)) for each in answers
        ]
        for thread in threads:
            thread.start()
        while not all(answers):
            time.sleep(0.01)
        child.send_signal(number)
        code = child.wait(20)
        ended.set()
        for thread in threads:
            thread.join(20)
    seen = {status for each in answers for status in each}
    port = url.rpartition(":")[2]
    with served("--stage", "words", "--port", port) as (_, again):
        until_ready(again)
    if number == signal.SIGTERM:
        assert code == 0 and seen == {200}
    else:
        assert code == -signal.SIGKILL and seen <= {0, 200}


def test_the_token_of_the_environment_is_asked_for() -> None:
    with served("--stage", "words", CROSSRANK_TOKEN="secret") as (child, url):
        assert httpx.get(f"{url}/health").status_code == 200
        assert httpx.get(f"{url}/v1/models").status_code == 401
        told = httpx.get(f"{url}/v1/models", headers={"authorization": "Bearer secret"})
        assert told.status_code == 200
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--stage", "nothing"], "nothing"),
        (["--stage", "dsl:depth=-1"], "depth"),
        (["--encoder", "nothing"], "nothing"),
        (["--port", "99999"], "port"),
        (["--host", "203.0.113.7"], "listened"),
        (["--workers", "0"], "workers"),
        (["--pipeline", "absent.toml"], "absent.toml"),
        (["--pipeline", "absent.toml", "--stage", "dsl"], "both"),
        (["--token-file", "absent"], "absent"),
    ],
)
def test_what_is_wrong_is_said_before_it_listens(options: list[str], said: str) -> None:
    cr.register(__import__("toys.basic", fromlist=["ToyEncoder"]).ToyEncoder)
    options = options if "--encoder" in options else [*options, "--encoder", "toy"]
    if not {"--stage", "--pipeline"} & set(options):
        options += ["--stage", "dsl"]
    result = CliRunner().invoke(main, ["serve", *options])
    assert result.exit_code == 2
    assert said in result.output and result.output.count("\n") == 1


def test_a_pipeline_comes_from_a_file(tmp_path: Path) -> None:
    from crossrank.errors import CrossrankError
    from crossrank_serve.pipeline_file import read_pipeline

    file = tmp_path / "pipeline.toml"
    file.write_text("[[stages]]\nreranker='dsl'\ndepth=5\nweight=0.5\n\n[[stages]]\nreranker='dsl'")
    first, second = read_pipeline(file)
    assert (first.depth, first.fusion.weight, second.depth) == (5, 0.5, None)
    for text in ("", "stages = 3", "[[stages]]", "[[stages]]\nreranker=3", "x=", "[[stages]]\na=1"):
        file.write_text(text)
        with pytest.raises(CrossrankError, match=r"pipeline\.toml"):
            read_pipeline(file)
