"""Blocks on a Ray cluster: the same bits, and workers, nodes and drivers that may be killed."""

import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank._engine.ray_cluster import cluster as cluster_of
from crossrank._engine.resources import Resources
from crossrank._lists.rankings import Rankings
from crossrank.errors import ClusterError, CrossrankError, PluginError, StoreError
from toys.basic import DotReranker
from toys.fault import Recorded, begun, check_only_in_flight_again, collections

ray = pytest.importorskip("ray", reason="ray is not installed")
pytestmark = pytest.mark.xdist_group("ray")  # one cluster is enough for a small machine

TESTS = str(Path(__file__).parents[2])
KILLS = 20
CANDIDATES, QUERIES, GALLERY = collections(16)
BUDGET = "24 KB"
SMALL: dict[str, Any] = {"memory_budget": BUDGET, "threads": 1}
TWO: dict[str, Any] = {**SMALL, "engine": "ray", "workers": 2}


class Failing(DotReranker):
    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        if "t3" in block.queries.ids:
            raise ValueError("no scores today")
        return super().score(block, state)


class Crashing(DotReranker):
    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        if "t3" in block.queries.ids:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().score(block, state)


class Unsendable(DotReranker):
    def prepare(self, context: cr.Context) -> Any:
        return threading.Lock()


class _OnlyHere:
    def __reduce__(self) -> Any:
        return __import__, ("not_on_the_workers",)


class OnlyHere(DotReranker):
    def prepare(self, context: cr.Context) -> Any:
        return _OnlyHere()


@pytest.fixture(scope="module", autouse=True)
def nodes() -> Iterator[Any]:
    """Start a cluster of one node, which soon notices when another is gone."""
    from ray.cluster_utils import Cluster

    path = os.environ.get("PYTHONPATH")
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    os.environ["PYTHONPATH"] = TESTS if path is None else f"{TESTS}:{path}"  # for the workers
    cluster: Any = None
    try:
        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 2,
                "include_dashboard": False,
                "object_store_memory": 100 << 20,
                "_system_config": {
                    "health_check_initial_delay_ms": 1000,
                    "health_check_period_ms": 500,
                    "health_check_failure_threshold": 3,
                },
            },
        )
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # its services have seconds to come up, whatever else runs here
        if cluster is not None:
            cluster.shutdown()
        pytest.skip(f"Ray did not start on this machine: {error}")
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    if path is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = path


def reranked(pipe: cr.Pipeline, **options: Any) -> Rankings:
    return pipe.rerank(CANDIDATES, QUERIES, GALLERY, **options)


def test_the_same_bits_as_here(tmp_path: Path) -> None:
    """Of two stages, with a collection in memory and one that the workers open."""
    pipe = cr.Pipeline([cr.Stage(DotReranker), cr.Stage("filip", depth=6)])
    rng, sides = np.random.default_rng(5), {}
    for side, lengths in ((QUERIES, 2), (GALLERY, 3)):
        flat = rng.normal(size=(len(side) * lengths, 8)).astype(np.float32)
        sides[side.modality] = side.with_features(
            tokens=cr.Ragged(flat, [lengths] * len(side)), normalise=True
        )
    sides["image"].save(tmp_path / "gallery")
    gallery = cr.Collection.open(tmp_path / "gallery")
    here, there = (
        pipe.rerank(CANDIDATES, sides["text"], gallery, **options) for options in (SMALL, TWO)
    )
    assert here == there


def test_a_store_that_is_shortened_is_one_error(tmp_path: Path) -> None:
    GALLERY.save(tmp_path / "gallery")
    gallery = cr.Collection.open(tmp_path / "gallery")
    file = tmp_path / "gallery" / "embedding.npy"
    file.write_bytes(file.read_bytes()[:-64])
    with pytest.raises(StoreError, match="was changed or removed while it was in use"):
        cr.Pipeline(cr.Stage(DotReranker)).rerank(CANDIDATES, QUERIES, gallery, **TWO)


def test_a_failing_block() -> None:
    pipe = cr.Pipeline(cr.Stage(Failing))
    found = reranked(pipe, **TWO, on_error="base_order")
    assert [hit.base_rank for hit in found["t3"]] == list(range(1, 21))
    assert "no scores today" in found["t3"][0].trace[0].note
    assert found == reranked(pipe, **SMALL, on_error="base_order")


def test_an_error_leaves_nothing_running_and_no_setting_changed() -> None:
    shown = ray.data.DataContext.get_current().enable_progress_bars
    levels = [handler.level for handler in logging.getLogger("ray.data").handlers]
    with pytest.raises(PluginError, match=r"failed in score.*: no scores today") as error:
        reranked(cr.Pipeline(cr.Stage(Failing)), **TWO)
    deadline = time.monotonic() + 30
    while ray.available_resources().get("CPU", 0) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ray.available_resources()["CPU"] == 2
    assert error.traceback, "which holds the frames of the run until here"
    assert ray.data.DataContext.get_current().enable_progress_bars == shown
    assert [handler.level for handler in logging.getLogger("ray.data").handlers] == levels


def test_a_block_that_ends_every_worker_does_not_go_on_forever() -> None:
    found = reranked(cr.Pipeline(cr.Stage(Crashing)), **TWO, on_error="base_order")
    whole = reranked(cr.Pipeline(cr.Stage(DotReranker)), **SMALL)
    assert "lost 4 workers on queries 't3' to 't3'" in found["t3"][0].trace[0].note
    assert [hit.base_rank for hit in found["t3"]] == list(range(1, 21))
    assert all(found[id] == whole[id] for id in QUERIES.ids if id != "t3")


def test_what_cannot_be_sent_or_loaded_is_said() -> None:
    with pytest.raises(PluginError, match=r"'dot' cannot be sent to workers: cannot pickle"):
        reranked(cr.Pipeline(cr.Stage(Unsendable)), **TWO)
    with pytest.raises(ClusterError, match=r"cannot load .* 'not_on_the_workers'; every machine"):
        reranked(cr.Pipeline(cr.Stage(OnlyHere)), **TWO, on_error="base_order")


def test_no_room_for_a_worker_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with cluster_of(ray, Resources(threads=64, engine="ray")):
        assert "no machine of the Ray cluster has room for a worker (64 cores, 0 GPUs)" in (
            caplog.text
        )


def killer(log: Path, folder: Path, killed: dict[int, int], moments: list[int]) -> None:
    """Kill workers that have begun a block, each a random while later, 20 in all."""
    chance = random.Random(0)
    while len(killed) < KILLS:
        running = [process for process in begun(log) if process not in killed]
        if not running:
            time.sleep(0.01)
            continue
        process = chance.choice(running)
        time.sleep(chance.uniform(0, 0.3))
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:  # its run was through
            killed.setdefault(process, 1)
            continue
        killed[process] = 1
        moments.append(len(list(folder.rglob("*.safetensors"))))


def test_workers_killed_at_20_random_moments(tmp_path: Path) -> None:
    candidates, queries, gallery = collections(300)
    log, folder = tmp_path / "log", tmp_path / "run"
    pipe = cr.Pipeline(cr.Stage(Recorded, params={"log": str(log), "seconds": 0.05}))
    killed: dict[int, int] = {}
    moments: list[int] = []
    thread = threading.Thread(target=killer, args=(log, folder, killed, moments), daemon=True)
    thread.start()
    found = pipe.rerank_to(folder, candidates, queries, gallery, **TWO)
    thread.join(timeout=5)
    assert len(moments) == KILLS, "the run was over before 20 workers were killed"
    assert len(set(moments)) > KILLS // 2  # they really fell at different moments
    check_only_in_flight_again(log, killed)
    expected = cr.Pipeline(cr.Stage(Recorded)).rerank(candidates, queries, gallery, **SMALL)
    assert found == expected
    assert Rankings.open(folder / "rankings.safetensors") == expected


DRIVER = """
import sys
import crossrank as cr
from toys.fault import Recorded, collections
pipe = cr.Pipeline(cr.Stage(Recorded, params={"log": sys.argv[1], "seconds": 0.3}))
pipe.rerank_to("run", *collections(20), memory_budget="24 KB", threads=1, engine="ray", workers=2)
"""


def test_a_driver_that_is_killed_with_the_cluster_it_started(tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(log)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": TESTS},
    )
    deadline = time.monotonic() + 120
    while len(list(folder.rglob("*.safetensors"))) < 5:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    while any(_lives(worker) for worker in begun(log)):
        assert time.monotonic() < deadline, "the workers outlive their driver"
        time.sleep(0.1)
    # of each worker: the block it had under way, and one whose scores were on their way
    killed = dict.fromkeys(begun(log), 2)
    assert 5 <= len(list(folder.rglob("*.safetensors"))) < 20
    pipe = cr.Pipeline(cr.Stage(Recorded, params={"log": str(log), "seconds": 0.3}))
    found = pipe.rerank_to(folder, *collections(20), **TWO)
    check_only_in_flight_again(log, killed)
    assert found == cr.Pipeline(cr.Stage(Recorded)).rerank(*collections(20), **SMALL)


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_node_that_leaves(tmp_path: Path, nodes: Any) -> None:
    """Three workers on two nodes; the one with one worker is gone in the middle."""
    candidates, queries, gallery = collections(60)
    log, folder = tmp_path / "log", tmp_path / "run"
    node = nodes.add_node(num_cpus=1, object_store_memory=80 << 20)
    gone: list[int] = []

    def leave() -> None:
        while len(begun(log)) < 3:
            time.sleep(0.01)
        nodes.remove_node(node, allow_graceful=False)
        gone.append(len(list(folder.rglob("*.safetensors"))))

    thread = threading.Thread(target=leave, daemon=True)
    thread.start()
    pipe = cr.Pipeline(cr.Stage(Recorded, params={"log": str(log), "seconds": 0.1}))
    found = pipe.rerank_to(folder, candidates, queries, gallery, **{**TWO, "workers": 3})
    thread.join(timeout=10)
    assert gone and gone[0] < 60
    assert found == cr.Pipeline(cr.Stage(Recorded)).rerank(candidates, queries, gallery, **SMALL)


def test_no_lists_need_no_cluster(tmp_path: Path) -> None:
    none = cr.Candidates.from_lists([], candidate_ids=GALLERY.ids)
    pipe = cr.Pipeline(cr.Stage(DotReranker, fusion=cr.Replace()))
    options: dict[str, Any] = {"engine": "ray", "ray_address": "nowhere"}
    assert len(pipe.rerank(none, QUERIES.take([]), GALLERY, **options)) == 0
    for _ in range(2):
        assert (
            len(pipe.rerank_to(tmp_path / "run", none, QUERIES.take([]), GALLERY, **options)) == 0
        )


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (
            "127.0.0.1:1",
            "no Ray cluster can be used at '127.0.0.1:1': .*refused; check",
        ),
        ("nonsense", "no Ray cluster can be used at 'nonsense': .*; check ray_address"),
        ("local", "Ray could not be started on this machine: no memory; free some"),
    ],
)
def test_a_cluster_that_does_not_answer_is_one_error(
    address: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    started: list[str] = []

    def init(address: str, **options: Any) -> None:
        started.append(address)
        raise RuntimeError("no memory" if address == "local" else "Invalid address format")

    monkeypatch.setattr(ray, "init", init)
    with (
        pytest.raises(CrossrankError, match=says),
        cluster_of(ray, Resources(engine="ray", ray_address=address)),
    ):
        pass
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1")
    with pytest.raises(ClusterError), cluster_of(ray, Resources(engine="ray")):
        pass
    monkeypatch.delenv("RAY_ADDRESS")
    with pytest.raises(ClusterError), cluster_of(ray, Resources(engine="ray")):
        pass
    assert started[-2:] == ["10.0.0.1", "local"]
