"""Killed at any moment, a run goes on and ends with the result of one that was not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import crossrank as cr
from crossrank._lists.rankings import Rankings
from toys.basic import DotReranker
from toys.fault import Recorded, begun, check_only_in_flight_again, collections

KILLS = 20
TESTS = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes as POSIX does")


def finished_blocks(folder: Path) -> int:
    """Count them while another process works there; it takes them away when it is through."""
    try:
        return len(list(folder.rglob("*.safetensors")))
    except FileNotFoundError:
        return 0


def test_killed_at_20_random_moments(tmp_path: Path) -> None:
    """The command line, with one worker or two, killed wherever it happens to be."""
    candidates, queries, gallery = collections(150)
    queries.save(tmp_path / "queries")
    gallery.save(tmp_path / "gallery")
    cr.Pipeline(cr.Stage(DotReranker)).rerank(candidates, queries, gallery).to_trec(
        tmp_path / "base.trec"
    )
    installed = tmp_path / "packages" / "faulty-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[crossrank.rerankers]\nrecorded = toys.fault\n")
    environment = {**os.environ, "PYTHONPATH": f"{installed.parent}:{TESTS}"}
    stage = "recorded:fusion=rrf,log=log,seconds=0.02"
    command = [
        *(sys.executable, "-m", "crossrank", "rerank", "--run", "base.trec"),
        *("--queries", "queries", "--gallery", "gallery", "--out", "run", "--resume"),
        *("--stage", stage, "--stage", f"{stage},depth=6"),
        *("--memory-budget", "16KB", "--threads", "1"),
    ]

    chance = random.Random(0)
    killed: dict[int, int] = {}
    moments: list[int] = []
    while len(killed) < KILLS:
        workers, before = chance.randint(1, 2), finished_blocks(tmp_path / "run")
        process = subprocess.Popen(
            [*command, "--workers", str(workers)], cwd=tmp_path, env=environment
        )
        goal, deadline = before + chance.randint(0, 5), time.monotonic() + 120
        while finished_blocks(tmp_path / "run") < goal and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.5 if goal == before else 0.03))  # it may not have begun yet
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run was over before it was killed 20 times"
        # blocks are kept in order: with two workers, some may wait for an earlier one
        killed[process.pid] = 1 if workers == 1 else 2 * workers
        moments.append(finished_blocks(tmp_path / "run"))
    subprocess.run([*command, "--workers", "2"], cwd=tmp_path, env=environment, check=True)

    assert moments == sorted(moments)  # nothing that was finished is lost
    assert len(set(moments)) > KILLS // 2  # they really fell at different moments
    assert len(begun(tmp_path / "log")) > KILLS // 2
    check_only_in_flight_again(tmp_path / "log", killed)
    fusion = cr.RRF()
    params = {"log": str(tmp_path / "expected")}
    stages = [cr.Stage(Recorded, depth, fusion, params) for depth in (None, 6)]
    expected = cr.Pipeline(stages).rerank(
        cr.Candidates.from_trec(tmp_path / "base.trec"), queries, gallery, memory_budget="16KB"
    )
    assert Rankings.open(tmp_path / "run" / "rankings.safetensors") == expected
    expected.to_trec(tmp_path / "expected.trec")
    assert (tmp_path / "run" / "run.trec").read_bytes() == (tmp_path / "expected.trec").read_bytes()


STEPS = """
import os, shutil, signal, sys
import crossrank as cr
from pathlib import Path
from toys.fault import Recorded, check_only_in_flight_again, collections

RUN, LOG, RESULT = Path("run").absolute(), Path("log"), Path("run/rankings.safetensors")
WHAT = ("open", "os.", "shutil.", "fcntl.")
candidates, queries, gallery = collections(4)
params = {"log": str(LOG)}
first = cr.Stage(Recorded, fusion=cr.RRF(), params=params)
pipeline = cr.Pipeline([first, cr.Stage(Recorded, depth=6, fusion=cr.RRF(), params=params)])

def child(last_step):
    process = os.fork()
    if process:
        return process, os.waitpid(process, 0)[1]
    steps = 0
    def watch(event, arguments):
        nonlocal steps
        if event.startswith(WHAT) and any(str(RUN) in str(each) for each in arguments):
            steps += 1
            if steps == last_step:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    pipeline.rerank_to(RUN, candidates, queries, gallery, memory_budget="32KB", threads=1)
    os._exit(0)

assert child(0)[1] == 0
whole = RESULT.read_bytes()
step = 0
while True:
    step += 1
    shutil.rmtree(RUN)
    Path('log.begun').unlink(missing_ok=True)
    process, status = child(step)
    if status == 0:
        break
    assert status == signal.SIGKILL, status
    assert child(0)[1] == 0, step
    assert RESULT.read_bytes() == whole, step
    assert sorted(os.listdir(RUN)) == ["lock", "rankings.safetensors", "run.json"], step
    check_only_in_flight_again(LOG, {process: 1})
print(step)
"""


def test_killed_before_each_thing_it_does_to_its_folder(tmp_path: Path) -> None:
    """Every opening, renaming and removing, in turn."""
    done = subprocess.run(
        [sys.executable, "-c", STEPS],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40
