"""The engine ray: the same answers from a replica as from the server of this machine."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from crossrank.cli import main
from crossrank.errors import InputError
from crossrank_serve.ray_engine import Replicas, options_of, read_replicas
from toys.serving import data_uri, serving

TOYS = Path(__file__).parents[1]
BOOT = """
import sys
from crossrank_serve.ray_engine import Replicas, serve_replicas
from toys.serving import toy_application
told = lambda port: print(port, flush=True)
serve_replicas(toy_application, "127.0.0.1", 0, Replicas(), 64, told)
"""
ASKED: tuple[tuple[str, Any], ...] = (
    ("/v1/rerank", {"query": "a b", "documents": ["b", "a b"], "top_n": 1}),
    ("/v1/rerank", {"query": "a b", "documents": ["b", "a b"], "top_k": 1}),
    ("/v2/rerank", {"query": "a", "documents": ["b a"], "relevant_spans": {"mode": "enabled"}}),
    ("/v2/rerank", {"query": "red", "documents": [{"image": data_uri()}], "explain": True}),
    ("/rerank", {"query": "a", "texts": ["b", "a"], "return_text": True}),
    ("/score", {"text_1": "a", "text_2": ["b", "a"]}),
    ("/v1/rerank", {"query": "a", "documents": []}),
    ("/v1/rerank", {"query": {"image": "https://a.b/c.png"}, "documents": ["a"]}),
    ("/v1/search", {"query": "a"}),
    ("/nothing", {}),
)
OWN = ("id", "request_id", "created")


def test_what_ray_is_told() -> None:
    assert read_replicas("3", 0.5, "auto") == Replicas(3, 3, 0.5, "auto")
    assert read_replicas("1-4", 0, None) == Replicas(1, 4)
    for bad in ("", "0", "4-1", "-1", "a", "1-", "1-b", "1.5"):
        with pytest.raises(InputError, match="--replicas"):
            read_replicas(bad, 0, None)
    assert options_of(Replicas(2, 2, 0.25), 10)["num_replicas"] == 2
    assert options_of(Replicas(2, 2, 0.25), 10)["ray_actor_options"]["num_gpus"] == 0.25
    scale = options_of(Replicas(1, 4), 10)["autoscaling_config"]
    assert (scale["min_replicas"], scale["max_replicas"]) == (1, 4)
    result = CliRunner().invoke(main, ["serve", "--replicas", "2"])
    assert result.exit_code == 2 and "--engine ray" in result.output


@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None or importlib.util.find_spec("fastapi") is None,
    reason="Ray Serve is not installed (crossrank[serve-ray])",
)
def test_a_replica_answers_as_the_server_of_this_machine_does() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", BOOT],
        env={**os.environ, "PYTHONPATH": str(TOYS), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        line = next(line for line in child.stdout if re.fullmatch(r"\d+\s*", line))
        with serving() as here, httpx.Client(base_url=f"http://127.0.0.1:{line.strip()}") as there:
            for client in (here, there):
                while client.get("/ready").status_code != 200:
                    time.sleep(0.1)
            for route, body in ASKED:
                ours, theirs = (client.post(route, json=body) for client in (here, there))
                assert ours.status_code == theirs.status_code, theirs.text
                assert _without(ours.json()) == _without(theirs.json())
            assert "x-request-id" in there.get("/v1/models").headers
        child.send_signal(signal.SIGTERM)
        assert child.wait(120) == 0
    finally:
        child.kill()
        child.wait()


def _without(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {key: value for key, value in answer.items() if key not in OWN}
    return answer
