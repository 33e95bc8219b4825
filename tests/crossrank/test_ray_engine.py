"""Blocks on a Ray cluster: the same bits, errors that arrive, workers that may be killed."""

import functools
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import PluginError
from crossrank.rankings import Rankings
from toys import DotReranker

ray = pytest.importorskip("ray", reason="ray is not installed")
pytestmark = pytest.mark.xdist_group("ray")  # one cluster is enough for a small machine

rng = np.random.default_rng(5)
QUERIES = cr.Collection([f"t{n}" for n in range(16)], "text", embedding=rng.normal(size=(16, 8)))
GALLERY = cr.Collection([f"i{n}" for n in range(30)], "image", embedding=rng.normal(size=(30, 8)))
CANDIDATES = cr.Candidates.from_similarity(
    rng.normal(size=(30, 16)), "t2i", 20, image_ids=GALLERY.ids, text_ids=QUERIES.ids
)
BUDGET = "24 KB"


class Slow(DotReranker):
    """Takes a while, and writes down in which process it worked."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        time.sleep(0.05)
        with Path(block.queries["log"][0]).open("a") as log:
            log.write(f"{os.getpid()} {' '.join(block.queries.ids)}\n")
        return super().score(block, state)

    def needs(self, context: cr.Context) -> cr.Needs:
        return cr.Needs(("embedding", "log"), ("embedding",))


class Failing(DotReranker):
    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        if "t3" in block.queries.ids:
            raise ValueError("no scores today")
        return super().score(block, state)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    start = functools.partial(
        ray.init,
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100 << 20,
        runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parents[1])}},
    )
    try:
        start()
    except Exception as error:  # its services have seconds to come up, whatever else runs here
        pytest.skip(f"Ray did not start on this machine: {error}")
    yield
    ray.shutdown()


def reranked(pipe: cr.Pipeline, queries: cr.Collection = QUERIES, **options: Any) -> Rankings:
    return pipe.rerank(CANDIDATES, queries, GALLERY, memory_budget=BUDGET, **options)


def test_the_same_bits_as_here() -> None:
    pipe = cr.Pipeline([cr.Stage(DotReranker), cr.Stage("filip", depth=6)])
    sides = {}
    for name, side, lengths in (("q", QUERIES, 2), ("g", GALLERY, 3)):
        flat = rng.normal(size=(len(side) * lengths, 8)).astype(np.float32)
        sides[name] = side.with_features(tokens=cr.Ragged(flat, [lengths] * len(side)))
    here, there = (
        pipe.rerank(
            CANDIDATES,
            sides["q"],
            sides["g"],
            engine=engine,
            workers=2,
            threads=1,
            memory_budget=BUDGET,
        )
        for engine in ("local", "ray")
    )
    assert here == there


def test_collections_on_disk_are_opened_by_the_workers(tmp_path: Path) -> None:
    GALLERY.save(tmp_path / "gallery")
    gallery = cr.Collection.open(tmp_path / "gallery")
    pipe = cr.Pipeline(cr.Stage(DotReranker))
    options: dict[str, Any] = {"memory_budget": BUDGET, "workers": 2, "threads": 1}
    here = pipe.rerank(CANDIDATES, QUERIES, gallery, **options)
    assert pipe.rerank(CANDIDATES, QUERIES, gallery, engine="ray", **options) == here


def test_a_failing_block(tmp_path: Path) -> None:
    pipe = cr.Pipeline(cr.Stage(Failing))
    with pytest.raises(PluginError, match=r"failed in score.*ValueError: no scores today"):
        reranked(pipe, engine="ray", workers=2)
    found = reranked(pipe, engine="ray", workers=2, on_error="base_order")
    assert [hit.base_rank for hit in found["t3"]] == list(range(1, 21))
    assert "no scores today" in found["t3"][0].trace[0].note
    assert found == reranked(pipe, on_error="base_order")


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    log = tmp_path / "log"
    queries = QUERIES.with_features(log=[str(log)] * len(QUERIES))
    pipe = cr.Pipeline(cr.Stage(Slow))
    killed: list[int] = []

    def kill() -> None:
        while not log.is_file() or len(log.read_text().splitlines()) < 3:
            time.sleep(0.01)
        killed.append(int(log.read_text().split()[0]))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    found = reranked(pipe, queries, engine="ray", workers=2, threads=1)
    killer.join()
    assert found == reranked(cr.Pipeline(cr.Stage(DotReranker)), threads=1)
    lines = log.read_text().splitlines()
    again = len(lines) - len({line.split(" ", 1)[1] for line in lines})
    assert killed and again <= 2  # the blocks that the dead worker had under way


def test_a_durable_run_on_ray(tmp_path: Path) -> None:
    pipe = cr.Pipeline([cr.Stage(DotReranker), cr.Stage(DotReranker, depth=4)])
    options: dict[str, Any] = {"memory_budget": BUDGET, "workers": 2, "threads": 1}
    found = pipe.rerank_to(tmp_path / "run", CANDIDATES, QUERIES, GALLERY, engine="ray", **options)
    assert found == reranked(pipe, threads=1)
    assert Rankings.open(tmp_path / "run" / "rankings.safetensors") == found


def test_no_lists_need_no_cluster() -> None:
    none = cr.Candidates.from_lists([], candidate_ids=GALLERY.ids)
    pipe = cr.Pipeline(cr.Stage(DotReranker, fusion=cr.Replace()))
    assert len(pipe.rerank(none, QUERIES.take([]), GALLERY, engine="ray")) == 0
