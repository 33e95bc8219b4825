"""Features on disk: damage, full disks, links and other processes cost time, not a ranking."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossrank._features.cache import FeatureCache
from crossrank._features.entry import Entry, columns
from crossrank._features.store import FeatureStore
from toys.feature_cache import Counting, another_process, call


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "swap", "folder"])
def test_damage_costs_time_and_nothing_else(
    photos: list[Path], folder: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    first = call(photos)
    files = sorted(folder.glob("*.features"))
    assert len(files) == 5
    content = files[0].read_bytes()
    if damage == "truncate":
        files[0].write_bytes(content[:-9])
    elif damage == "flip":
        files[0].write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    elif damage == "empty":
        files[0].write_bytes(b"")
    elif damage == "swap":
        files[0].write_bytes(files[1].read_bytes())
    else:
        files[0].unlink()
        files[0].mkdir()
    another_process(monkeypatch)
    seen = Counting.seen
    assert call(photos) == first
    assert Counting.seen == seen + 2
    if damage != "folder":
        assert Entry.from_bytes(files[0].read_bytes(), files[0].stem) is not None


def test_a_cache_that_is_cleared_while_in_use(
    photos: list[Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    first = call(photos)
    shutil.rmtree(folder)
    assert call(photos) == first
    another_process(monkeypatch)
    assert call(photos) == first
    assert len(list(folder.glob("*.features"))) == 5


@pytest.mark.parametrize("trouble", ["full", "read-only", "a file", "strangers"])
def test_a_cache_that_cannot_be_used_is_done_without(
    photos: list[Path],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
) -> None:
    if trouble == "a file":
        folder.parent.mkdir(parents=True)
        folder.write_bytes(b"")
    elif trouble == "strangers":
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    else:
        import errno

        code = errno.ENOSPC if trouble == "full" else errno.EROFS

        def refuse(*arguments: Any) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(FeatureStore, "_write", staticmethod(refuse))
    first = call(photos)
    assert call(photos) == first
    assert Counting.seen == 6  # memory still helps
    told = [each for each in caplog.records if "are not kept on disk" in each.message]
    assert [each.levelname for each in told] == ["WARNING"]
    assert not list(folder.parent.rglob("*.features"))


def test_a_link_in_the_folder_is_replaced_and_not_followed(
    photos: list[Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(photos)
    target = tmp_path / "elsewhere"
    target.write_bytes(b"mine")
    first = min(folder.glob("*.features"))
    first.unlink()
    first.symlink_to(target)
    another_process(monkeypatch)
    call(photos)
    assert target.read_bytes() == b"mine"
    assert not first.is_symlink()


def test_the_disk_holds_no_more_than_its_limit(tmp_path: Path) -> None:
    entry = Entry({"x": "array"}, {"x": np.zeros(1000, np.float32)})
    store = FeatureStore(tmp_path / "store", 50_000)
    keys = [f"{n:032x}" for n in range(40)]
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "notes.txt").write_text("mine")
    (tmp_path / "store" / ".partial-0123456789ab").write_bytes(b"left")
    os.utime(tmp_path / "store" / ".partial-0123456789ab", (0, 0))
    for n, key in enumerate(keys):
        store.put(key, {"encoder": "e"}, entry)
        path = tmp_path / "store" / f"{key}.features"
        if path.exists():
            os.utime(path, (n + 1, n + 1))
    total = sum(each.bytes for each in store.entries())
    assert 0 < total <= 50_000
    assert store.get(keys[-1]) is not None
    assert store.get(keys[0]) is None
    assert (tmp_path / "store" / "notes.txt").read_text() == "mine"
    assert not list((tmp_path / "store").glob(".partial-*"))
    store.put("f" * 32, {}, Entry({"x": "array"}, {"x": np.zeros(10**6)}))  # larger than all
    assert store.get("f" * 32) is None


def test_memory_holds_no_more_than_its_limit() -> None:
    cache = FeatureCache(None, 20_000)
    for n in range(100):
        cache.put(str(n), Entry({"x": "array"}, {"x": np.zeros(250, np.float32)}), {}, False)
    kept = [n for n in range(100) if cache.get(str(n), ["x"], False)]
    assert kept == list(range(100 - len(kept), 100))
    assert 10 < len(kept) < 20


def test_an_entry_is_what_it_was() -> None:
    entry = Entry(
        {"a": "array", "r": "ragged", "j": "json", "n": "array"},
        {
            "a": np.arange(3, dtype=np.float16),
            "r": np.zeros((0, 4), np.float32),
            "j": ["a", ("b", None)],
            "n": np.array(7),
        },
    )
    again = Entry.from_bytes(entry.to_bytes("k", {"encoder": "e"}), "k")
    assert again is not None
    assert Entry.from_bytes(entry.to_bytes("k", {}), "other") is None
    assert again.kinds == entry.kinds
    for name in "arn":
        assert again.values[name].dtype == entry.values[name].dtype
        assert np.array_equal(again.values[name], entry.values[name])
    assert again.values["j"] == ["a", ["b", None]]
    made = columns([entry, again], ["a", "r", "j", "n"])
    assert made["n"].shape == (2,)  # type: ignore[union-attr]
    with pytest.raises(ValueError):
        columns([entry, Entry({"a": "ragged"}, {"a": np.zeros((1, 2))})], ["a"])


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import crossrank as cr
from crossrank._features.contents import content_key
from toys.basic import DotReranker, ToyEncoder
cr.register(DotReranker)
cr.register(ToyEncoder)
photos = sorted(Path({photos!r}).glob("*.png"))
for _ in range(20):
    ranking = cr.rerank("a dog", photos, "dot", encoder="toy", cache={cache!r})
print([(hit.index, hit.score) for hit in ranking])
"""


def test_processes_share_it_and_do_not_disturb_each_other(
    photos: list[Path], tmp_path: Path
) -> None:
    tests = str(Path(__file__).parents[2])
    code = SCRIPT.format(tests=tests, photos=str(tmp_path), cache=str(tmp_path / "shared"))
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(3)
    ]
    shown = {process.communicate()[0] for process in running}
    assert all(process.returncode == 0 for process in running)
    assert len(shown) == 1
    assert len(list((tmp_path / "shared").glob("*.features"))) == 5
