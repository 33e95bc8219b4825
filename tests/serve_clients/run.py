"""Start a server, let every client ask it, and hold what it read against the library.

``python -m serve_clients.run COMMAND…``: each command runs clients in an environment of its own, as
``.venv-clients/bin/python tests/serve_clients/python_clients.py``.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from typing import Any

import numpy as np
from PIL import Image

import crossrank as cr

QUERY = "a dog runs through the water"
TEXTS = ["a cat on a roof", "a brown dog splashes in a lake", "two men cook", "a dog", "the sea"]
TOKEN = "secret"


def pictures() -> list[bytes]:
    """Return some pictures' files: fields of colours."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(5):
        pixels = rng.integers(0, 256, (4, 5, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).resize((100, 80), Image.Resampling.NEAREST).save(file, "PNG")
        found.append(file.getvalue())
    return found


def until_ready(url: str, server: subprocess.Popen[str]) -> None:
    """Wait for the models."""
    for _ in range(600):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(f"{url}/ready").read()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server is not ready")


def differences(name: str, read: dict[str, Any], right: dict[str, cr.Ranking]) -> list[str]:
    """Return what a client read that the library does not say."""
    if "error" in read:
        return [f"{name}: {read['error']}"]
    wrong = []
    for kind, pairs in read.items():
        ours = [(int(hit.id), hit.score) for hit in right[kind][: len(pairs)]]
        same = len(pairs) >= 3 and all(
            index == own and abs(score - value) <= 1e-5
            for (index, score), (own, value) in zip(pairs, ours, strict=True)
        )
        if not same:
            wrong.append(f"{name}, {kind}: {pairs} instead of {ours}")
    return wrong


def main(commands: list[str]) -> int:
    """Return how many clients read something else."""
    files = pictures()
    opened = [Image.open(io.BytesIO(data)) for data in files]
    right = {"texts": cr.rerank(QUERY, TEXTS, "filip"), "images": cr.rerank(QUERY, opened, "filip")}
    uris = [f"data:image/png;base64,{base64.b64encode(data).decode()}" for data in files]
    wrong: list[str] = []
    given = {"query": QUERY, "texts": TEXTS, "images": [{"image": each} for each in uris]}
    for closed in (True, False):
        wrong += ask_all(commands, given, right, closed)
    for each in wrong:
        print(each)
    return len(wrong)


def ask_all(
    commands: list[str], given: dict[str, Any], right: dict[str, cr.Ranking], closed: bool
) -> list[str]:
    """Ask a server with a token, or one without for the clients that cannot send one."""
    env = {key: value for key, value in os.environ.items() if key != "CROSSRANK_TOKEN"}
    server = subprocess.Popen(
        [sys.executable, "-m", "crossrank", "serve", "--stage", "filip", "--port", "0"],
        env={**env, "CROSSRANK_TOKEN": TOKEN} if closed else env,
        stdout=subprocess.PIPE,
        text=True,
    )
    wrong: list[str] = []
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[2]
        until_ready(url, server)
        given = {**given, "url": url, "closed": closed}
        for command in commands:
            made = subprocess.run(
                shlex.split(command), input=json.dumps(given), capture_output=True, text=True
            )
            try:
                results = json.loads(made.stdout.strip().splitlines()[-1])
            except (IndexError, ValueError):
                wrong.append(f"{command}: {made.stderr[-2000:]}")
                continue
            for name, read in results.items():
                found = differences(name, read, right)
                said = " and ".join(kind for kind in read if kind != "error")
                print(f"{'FAILED' if found else 'ok':8}{name:32}{said}", flush=True)
                wrong += found
        server.send_signal(signal.SIGTERM)
        assert server.wait(300) == 0
    finally:
        server.kill()
    return wrong


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
