"""Encoding into one folder twice, over damaged shards, and over what a kill left (A2.10)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import StoreError
from toys.basic import ToyEncoder

TEXTS = [f"word {'x' * (n % 7)} {n}" for n in range(600)]
TESTS = Path(__file__).parents[2]
SCRIPT = """
import sys, time
import crossrank as cr
from crossrank._items import joining
from toys.basic import ToyEncoder

class Slow(ToyEncoder):
    def encode_batch(self, items, modality, features):
        time.sleep(float(sys.argv[2]))
        return super().encode_batch(items, modality, features)
    def fingerprint(self):
        return ToyEncoder().fingerprint()

if sys.argv[3] == "stops while it is put together":
    write = joining.write_manifest
    def stops(folder, modality, encoder, count, *more, **options):
        if count < 600:  # a shard
            return write(folder, modality, encoder, count, *more, **options)
        print("now", flush=True)
        time.sleep(600)
    joining.write_manifest = stops
cr.encode(Slow(), [f"word {'x' * (n % 7)} {n}" for n in range(600)], out=sys.argv[1])
"""


def start(out: Path, seconds: float, how: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(out), str(seconds), how],
        env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 300
    while not there():
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.01)


def test_the_second_of_two_encodes_is_told_to_wait_and_harms_nobody(tmp_path: Path) -> None:
    """It was told to remove the shard that the other one was writing."""
    out, partial = tmp_path / "out", tmp_path / "out.partial"
    first = start(out, 0.05)
    wait_for(lambda: partial.is_dir() and any(partial.iterdir()), first)
    with pytest.raises(StoreError, match="another process; wait for it") as refused:
        cr.encode(ToyEncoder(), TEXTS, out=out)
    assert "remove" not in str(refused.value)
    assert first.wait(300) == 0
    assert cr.Collection.open(out, verify=True) == cr.encode(ToyEncoder(), TEXTS)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["embedding.npy", "ids.jsonl", "collection.json"])
@pytest.mark.parametrize("how", ["a bit", "shortened", "empty", "gone"])
def test_a_damaged_shard_is_encoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, how: str
) -> None:
    """It never recovered: the same call failed for ever."""
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("crossrank._encode.run.write_joined", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cr.encode(ToyEncoder(), TEXTS, out=out)
    shards = sorted((tmp_path / "out.partial").iterdir())
    assert len(shards) == 3
    damage(shards[1] / name, how)
    made = cr.encode(ToyEncoder(), TEXTS, out=out)
    assert made == cr.encode(ToyEncoder(), TEXTS)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def interrupted(*arguments: object) -> None:
    raise KeyboardInterrupt


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    elif how == "a bit":
        content[-3] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(content[: len(content) // 2] if how == "shortened" else b"")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM"])
def test_the_hidden_copy_of_a_killed_encode_goes(tmp_path: Path, number: str) -> None:
    """As large as the whole, it kept its space for ever."""
    out = tmp_path / "out"
    killed = start(out, 0.0, "stops while it is put together")
    assert killed.stdout is not None and killed.stdout.readline() == "now\n"
    hidden = [path for path in tmp_path.iterdir() if path.name.startswith(".out.")]
    assert len(hidden) == 1 and (hidden[0] / "embedding.npy").stat().st_size > 600 * 8 * 4
    killed.send_signal(getattr(signal, number))
    killed.wait(60)
    killed.stdout.close()
    assert not out.exists()
    made = cr.encode(ToyEncoder(), TEXTS, out=out)
    assert np.array_equal(made["embedding"], cr.encode(ToyEncoder(), TEXTS)["embedding"])
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
