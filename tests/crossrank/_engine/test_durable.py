"""Runs in a folder: stopped anywhere, they go on and end with the same result."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import crossrank as cr
from crossrank._engine import durable
from crossrank._lists.rankings import Rankings
from crossrank.errors import BudgetError, CrossrankError, InputError, PluginError, StoreError
from toys.basic import DotReranker

rng = np.random.default_rng(7)
QUERIES = cr.Collection([f"t{n}" for n in range(24)], "text", embedding=rng.normal(size=(24, 8)))
GALLERY = cr.Collection([f"i{n}" for n in range(30)], "image", embedding=rng.normal(size=(30, 8)))
CANDIDATES = cr.Candidates.from_lists(
    {id: [f"i{n}" for n in rng.permutation(30)[:20]] for id in QUERIES.ids},
    query_ids=QUERIES.ids,
    candidate_ids=GALLERY.ids,
)
BUDGET = "16 KB"


class Counting(DotReranker):
    """Counts the queries it scores, and stops before any one of them if told to."""

    scored: ClassVar[list[str]] = []
    stop_at: ClassVar[str] = ""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        if self.stop_at in block.queries.ids:
            raise KeyboardInterrupt
        self.scored.extend(block.queries.ids)
        return super().score(block, state)


@pytest.fixture(autouse=True)
def fresh() -> None:
    Counting.scored, Counting.stop_at = [], ""


def pipeline() -> cr.Pipeline:
    return cr.Pipeline(
        [cr.Stage(Counting, fusion=cr.Replace()), cr.Stage(Counting, depth=5, fusion=cr.RRF())]
    )


def whole(**options: Any) -> Rankings:
    return pipeline().rerank(CANDIDATES, QUERIES, GALLERY, memory_budget=BUDGET, **options)


def into(folder: Path, **options: Any) -> Rankings:
    return pipeline().rerank_to(
        folder, CANDIDATES, QUERIES, GALLERY, memory_budget=BUDGET, **options
    )


def test_the_same_as_without_a_folder(tmp_path: Path) -> None:
    expected = whole(top_k=7)
    assert into(tmp_path / "run", top_k=7) == expected
    assert Rankings.open(tmp_path / "run" / "rankings.safetensors") == expected
    assert not (tmp_path / "run" / "blocks").exists()
    Counting.scored = []
    assert into(tmp_path / "run", top_k=7) == expected
    assert Counting.scored == []  # it was complete


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_scores_only_what_is_missing(tmp_path: Path, workers: int) -> None:
    expected = whole()
    Counting.scored, Counting.stop_at = [], "t13"
    with pytest.raises(KeyboardInterrupt):
        into(tmp_path / "run", workers=workers)
    before = set(Counting.scored)
    kept = list((tmp_path / "run" / "blocks" / "0-dot").glob("*.safetensors"))
    assert kept and before
    Counting.scored, Counting.stop_at = [], ""
    assert into(tmp_path / "run", workers=workers) == expected
    first_stage = len(QUERIES) - len(before)
    # with two workers a block may have been under way that was not written yet
    assert len(Counting.scored) - len(QUERIES) - first_stage in range(0, 1 + 6 * (workers - 1))


def harmed(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "a bit turned":
        content[-3] ^= 1
        path.write_bytes(content)
    elif how == "foreign":
        path.write_text("not a block")
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize("how", ["truncated", "a bit turned", "foreign", "empty"])
def test_a_corrupt_block_is_named_and_scored_again(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = whole()
    Counting.stop_at = "t23"
    with pytest.raises(KeyboardInterrupt):
        into(tmp_path / "run")
    block = sorted((tmp_path / "run" / "blocks" / "0-dot").glob("*.safetensors"))[1]
    harmed(block, how)
    Counting.scored, Counting.stop_at = [], ""
    assert into(tmp_path / "run") == expected
    assert f"{block}" in caplog.text and "scored again" in caplog.text


def test_another_run_is_refused(tmp_path: Path) -> None:
    into(tmp_path / "run", top_k=3)
    with pytest.raises(StoreError, match=r"another run: top_k differ; choose another"):
        into(tmp_path / "run", top_k=4)
    with pytest.raises(StoreError, match="another run: gallery differ"):
        pipeline().rerank_to(
            tmp_path / "run",
            CANDIDATES,
            QUERIES,
            GALLERY.with_features(embedding=-GALLERY["embedding"]),
            top_k=3,
            memory_budget=BUDGET,
        )
    with pytest.raises(StoreError, match="holds a run already; resume it"):
        into(tmp_path / "run", top_k=3, resume=False)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    with pytest.raises(StoreError, match="holds something else"):
        into(tmp_path / "photos")
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        into(tmp_path / "run", top_k=3)


def test_what_a_kill_leaves_behind_is_no_hindrance_and_goes(tmp_path: Path) -> None:
    """Before the manifest was there, and between writing the result and forgetting the blocks."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "lock").write_text("1")
    (run / ".run.json.ab12").write_text("{")
    expected = into(run)
    (run / ".rankings.safetensors.ab12").write_bytes(b"half")
    (run / "blocks" / "0-dot").mkdir(parents=True)
    assert into(run) == expected
    assert sorted(path.name for path in run.iterdir()) == [
        "lock",
        "rankings.safetensors",
        "run.json",
    ]


def test_blocks_of_other_lists_are_not_used(tmp_path: Path) -> None:
    """A block that failed under base_order is tried again, and the next stage sees other lists."""

    class Unsteady(Counting):
        broken: ClassVar[bool] = True

        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            if self.broken and "t4" in block.queries.ids:
                raise ValueError("not today")
            return super().score(block, state)

    class Stops(Counting):
        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            if Unsteady.broken and "t23" in block.queries.ids:
                raise KeyboardInterrupt
            return super().score(block, state)

    pipe = cr.Pipeline([cr.Stage(Unsteady, fusion=cr.Replace()), cr.Stage(Stops, depth=5)])
    options: dict[str, Any] = {"memory_budget": BUDGET, "on_error": "base_order"}
    with pytest.raises(KeyboardInterrupt):
        pipe.rerank_to(tmp_path / "run", CANDIDATES, QUERIES, GALLERY, **options)
    Unsteady.broken = False
    found = pipe.rerank_to(tmp_path / "run", CANDIDATES, QUERIES, GALLERY, **options)
    assert found == pipe.rerank(CANDIDATES, QUERIES, GALLERY, memory_budget=BUDGET)


def test_a_result_with_failures_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    class Unsteady(Counting):
        broken: ClassVar[bool] = True

        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            if self.broken and "t4" in block.queries.ids:
                raise ValueError("not today")
            return super().score(block, state)

    pipe = cr.Pipeline(cr.Stage(Unsteady, fusion=cr.Replace()))

    def run(on_error: str) -> Rankings:
        return pipe.rerank_to(
            tmp_path / "run", CANDIDATES, QUERIES, GALLERY, memory_budget=BUDGET, on_error=on_error
        )

    first = run("base_order")
    assert run("base_order") == first
    with pytest.raises(PluginError, match="not today"):
        run("raise")
    Unsteady.broken, Counting.scored = False, []
    whole = run("raise")
    assert whole != first and Counting.scored == ["t4"]
    assert whole == pipe.rerank(CANDIDATES, QUERIES, GALLERY, memory_budget=BUDGET)
    assert not (tmp_path / "run" / "blocks").exists()


def test_an_option_that_there_is_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no option 'worker'; did you mean 'workers'"):
        into(tmp_path / "run", worker=2)
    assert not (tmp_path / "run").exists()


def test_an_error_of_a_plugin_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    class Once(Counting):
        broken: ClassVar[bool] = True

        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            if self.broken and "t9" in block.queries.ids:
                raise ValueError("not today")
            return super().score(block, state)

    pipe = cr.Pipeline(cr.Stage(Once, fusion=cr.Replace()))
    with pytest.raises(PluginError, match="not today"):
        pipe.rerank_to(tmp_path / "run", CANDIDATES, QUERIES, GALLERY, memory_budget=BUDGET)
    Once.broken = False
    found = pipe.rerank_to(tmp_path / "run", CANDIDATES, QUERIES, GALLERY, memory_budget=BUDGET)
    assert found == pipe.rerank(CANDIDATES, QUERIES, GALLERY, memory_budget=BUDGET)
    assert len(Once.scored) == 2 * len(QUERIES)  # each once, and once more for the comparison


def test_a_clock_that_goes_backwards_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole()
    Counting.stop_at = "t20"
    with pytest.raises(KeyboardInterrupt):
        into(tmp_path / "run")
    for path in (tmp_path / "run").rglob("*"):
        os.utime(path, (4e9, 4e9))
    Counting.stop_at = ""
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert into(tmp_path / "run") == expected


def test_bad_input_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CrossrankError, match="no base scores"):
        cr.Pipeline(cr.Stage(DotReranker)).rerank_to(tmp_path / "run", CANDIDATES, QUERIES, GALLERY)
    assert not (tmp_path / "run").exists()


def test_what_fails_before_its_first_block_leaves_nothing_behind(tmp_path: Path) -> None:
    """So that the corrected call is not refused as another run."""
    for folder in (tmp_path / "run", tmp_path):
        with pytest.raises(BudgetError, match="grant more"):
            pipeline().rerank_to(folder, CANDIDATES, QUERIES, GALLERY, memory_budget=10)
        assert list(tmp_path.iterdir()) == []
    assert into(tmp_path / "run") == whole()


def test_no_queries(tmp_path: Path) -> None:
    none = cr.Candidates.from_lists([], candidate_ids=GALLERY.ids)
    found = pipeline().rerank_to(tmp_path / "run", none, QUERIES.take([]), GALLERY)
    assert len(found) == 0
    assert Rankings.open(tmp_path / "run" / "rankings.safetensors") == found


def test_a_full_disk_is_one_error_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    real = os.fsync

    def full(handle: int) -> None:
        nonlocal written
        written += 1
        if written > 4:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="free some space"):
        into(tmp_path / "run")
    monkeypatch.undo()
    assert into(tmp_path / "run") == whole()


def test_two_processes_exclude_each_other(tmp_path: Path) -> None:
    class Peeking(DotReranker):
        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            script = (
                "import sys; from pathlib import Path\n"
                "from crossrank._engine.durable import DurableRun\n"
                "with DurableRun.open(Path(sys.argv[1]), {}, True): pass"
            )
            found = subprocess.run(
                [sys.executable, "-c", script, tmp_path / "run"], capture_output=True, text=True
            )
            assert f"is in use by process {os.getpid()}; wait for it" in found.stderr
            return super().score(block, state)

    cr.Pipeline(cr.Stage(Peeking, fusion=cr.Replace())).rerank_to(
        tmp_path / "run", CANDIDATES, QUERIES, GALLERY
    )


def test_rankings_survive_a_file(tmp_path: Path) -> None:
    for rankings in (whole(), whole(top_k=2), whole(score_threshold=0.5)):
        rankings.save(tmp_path / "rankings.safetensors")
        assert Rankings.open(tmp_path / "rankings.safetensors") == rankings
    for content in (b"", b"{}", json.dumps({"a": 1}).encode()):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(StoreError, match="holds no rankings"):
            Rankings.open(tmp_path / "other")
    for about in (b"[1]", b'{"format": "crossrank rankings 1", "stages": []}'):
        save_file({"about": np.frombuffer(about, np.uint8)}, tmp_path / "other")
        with pytest.raises(StoreError, match=r"holds no rankings .* remove it and rerank"):
            Rankings.open(tmp_path / "other")


def test_parquet_has_a_row_per_hit(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    rankings = whole(top_k=6)
    rankings.to_parquet(tmp_path / "run.parquet")
    rows = parquet.read_table(tmp_path / "run.parquet").to_pylist()
    hits = [(query, hit) for query, ranking in rankings.items() for hit in ranking]
    assert len(rows) == len(hits) == 6 * 24
    for row, (query, hit) in zip(rows, hits, strict=True):
        assert (row["query_id"], row["candidate_id"], row["rank"]) == (query, hit.id, hit.rank)
        assert (row["score"], row["base_rank"]) == (hit.score, hit.base_rank)
        second = hit.trace[1].score
        assert row["raw.dot#2"] == (None if second is None else pytest.approx(second))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.parquet"]


def test_a_forged_block_is_scored_again(tmp_path: Path) -> None:
    Counting.stop_at = "t23"
    with pytest.raises(KeyboardInterrupt):
        into(tmp_path / "run")
    Counting.stop_at = ""
    blocks = sorted((tmp_path / "run" / "blocks").rglob("*.safetensors"))
    assert blocks
    for path in blocks:
        with safe_open(path, "numpy") as file:
            about = file.metadata()
            values, abstained = file.get_tensor("values"), file.get_tensor("abstained")
        values = np.full_like(values, np.inf)
        digest = durable._digest(cr.Scores(values, abstained > 0, about["reason"]), about["pairs"])
        save_file({"values": values, "abstained": abstained}, path, {**about, "digest": digest})
    assert into(tmp_path / "run") == whole()
