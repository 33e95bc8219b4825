"""Killed at any moment, a study goes on and ends with the same tables, byte for byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import crossrank as cr
from crossrank_ablation import ScoreCache
from toys.ablation import DATA, TUNE, saved

TESTS = Path(__file__).parents[1]
STUDY = (
    DATA.replace('"test/images"', '["test/images"]')
    + TUNE
    + """
[stages.one]
reranker = "noisy"
sleep = SLEEP
[stages.two]
reranker = "noisy"
seed = 2
sleep = SLEEP
[stages.three]
reranker = "noisy"
seed = 3
depth = 4
sleep = SLEEP
[grid]
stages = ["one", "two", "three"]
variants = ["leave_one_out", "orders"]
one.depth = [3, 12]
[tune]
three.weight = [0.5, 2.0]
[statistics]
resamples = 99
[report]
queries = 2
"""
)
SCRIPT = """
import sys
import crossrank as cr
from toys.ablation import Noisy
cr.register(Noisy)
cr.ablate(sys.argv[1], output=sys.argv[2], cache=sys.argv[3], runs=True)
"""
TABLES = ("table.txt", "table.md", "table.csv", "table.tex")


def start(config: Path, output: Path, cache: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(config), str(output), str(cache)],
        env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("moment", ["scoring", "writing"])
def test_killed_and_resumed(tmp_path: Path, moment: str) -> None:
    folder = saved(tmp_path / "data", 10)
    config = folder / "study.toml"
    config.write_text(STUDY.replace("SLEEP", "0.04"))
    whole = cr.ablate(config, output=tmp_path / "whole", cache=tmp_path / "c0", runs=True)

    output, cache = tmp_path / "out", tmp_path / "c1"
    child = start(config, output, cache)
    limit = time.monotonic() + 300
    while child.poll() is None and time.monotonic() < limit:
        blocks = len(list(cache.glob("*.scores"))) if cache.is_dir() else 0
        if blocks >= 4 if moment == "scoring" else (output / "plots").is_dir():
            os.kill(child.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    assert child.wait(60) == -signal.SIGKILL, child.communicate()
    assert not (output / "result.json").exists()

    kept = {entry.key for entry in ScoreCache(cache).entries()}
    resumed = cr.ablate(resume=output)
    assert resumed.scorer_calls == whole.scorer_calls - len(kept)
    for name in TABLES:
        assert (output / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    for path in (tmp_path / "whole" / "runs").iterdir():
        assert (output / "runs" / path.name).read_bytes() == path.read_bytes()
    assert not list(output.rglob(".*"))

    again = cr.ablate(resume=output)  # of a study that is complete
    assert again.scorer_calls == 0
    assert str(again) == str(whole)


def test_two_processes_share_one_cache(tmp_path: Path) -> None:
    folder = saved(tmp_path / "data", 10)
    config = folder / "study.toml"
    config.write_text(STUDY.replace("SLEEP", "0"))
    cache = tmp_path / "cache"
    children = [start(config, tmp_path / name, cache) for name in ("a", "b")]
    assert [child.wait(400) for child in children] == [0, 0]
    for name in TABLES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    one, other = (cr.AblationResult.open(tmp_path / name / "result.json") for name in ("a", "b"))
    calls = sum(result.scorer_calls for result in (one, other))
    assert calls == len(ScoreCache(cache).entries())  # nothing was scored twice


def test_what_a_kill_left_of_any_file_goes(tmp_path: Path) -> None:
    folder = saved(tmp_path / "data", 4)
    config = folder / "study.toml"
    config.write_text(STUDY.replace("SLEEP", "0"))
    cr.ablate(config, output=tmp_path / "out", cache=tmp_path / "cache", runs=True)
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    for path in written:  # as `atomic_file` calls what it has not finished
        (path.parent / f".{path.name}.0123456789ab").write_text("half")
    cr.ablate(resume=tmp_path / "out")
    assert not list((tmp_path / "out").rglob(".*"))
