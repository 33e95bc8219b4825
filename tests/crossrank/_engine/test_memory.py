"""What a process holds and may hold, as Linux tells it."""

import logging
import sys
from pathlib import Path

import numpy as np
import pytest

import crossrank as cr
from crossrank._engine.memory import PeakMemory, granted_memory, resident
from crossrank._engine.options import RunOptions
from crossrank._engine.resources import Resources, quarter_of_memory
from toys.basic import DotReranker, collection

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tells nothing elsewhere")


@linux
def test_memory_that_is_touched_is_seen() -> None:
    before, peak = resident(), PeakMemory()
    held = np.ones(64 << 20, np.uint8)
    peak.sample()
    assert before is not None
    assert peak.anonymous - before[0] > 48 << 20
    del held
    now = peak.anonymous
    peak.sample()
    assert peak.anonymous == now
    assert str(peak).startswith("at most ")


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    assert resident(tmp_path / "statm") is None
    (tmp_path / "statm").write_text("nothing")
    assert resident(tmp_path / "statm") is None
    assert granted_memory(tmp_path / "cgroup") is None
    assert str(PeakMemory()) == "memory that this system does not tell of"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "5000\n"}, 5000),
        ("0::/a/b\n", {"a/b/memory.max": "3000\n", "a/memory.max": "5000\n"}, 3000),
        ("0::/elsewhere/x\n", {"memory.max": "700\n"}, 700),
        ("0::/\n", {}, None),
        ("0::/a\n", {"a/memory.max": "max\n"}, None),
        ("4:cpu:/\n3:memory:/j\n0::/\n", {"memory/j/memory.limit_in_bytes": "900\n"}, 900),
    ],
)
def test_limits_of_containers(
    tmp_path: Path, groups: str, files: dict[str, str], expected: int | None
) -> None:
    (tmp_path / "cgroup").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert granted_memory(tmp_path / "cgroup", tmp_path / "mount") == expected


def test_the_default_budget_keeps_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossrank._engine.resources.granted_memory", lambda: 4000)
    assert quarter_of_memory() == 1000
    monkeypatch.setattr(
        "crossrank._engine.resources.granted_memory", lambda: 1 << 62
    )  # how v1 says none
    assert quarter_of_memory() < 1 << 50


def test_short_calls_do_not_look_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def looking() -> int:
        looked.append(1)
        return 4000

    monkeypatch.setattr("crossrank._engine.resources.granted_memory", looking)
    monkeypatch.setattr("crossrank._engine.resources.monotonic", lambda: 1e6 + 0.25 * len(seen))
    seen: list[int] = []
    for _ in range(8):
        seen.append(Resources.of(RunOptions()).memory_budget)
    assert set(seen) == {1000}
    assert len(looked) == 2  # in two seconds


@linux
def test_a_run_tells_its_peak(caplog: pytest.LogCaptureFixture) -> None:
    queries, gallery = collection(3, "text"), collection(4, "image")
    candidates = cr.Candidates.from_similarity(
        np.ones((4, 3)), "t2i", 4, image_ids=gallery.ids, text_ids=queries.ids
    )
    with caplog.at_level(logging.INFO, "crossrank"):
        cr.Pipeline(cr.Stage(DotReranker)).rerank(candidates, queries, gallery)
    [line] = [line for line in caplog.messages if "mapped" in line]
    assert "1 portions of 1 blocks, at most " in line
