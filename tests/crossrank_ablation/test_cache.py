"""The cache of raw scores: trusted by content only, bounded, shared."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from crossrank.errors import StoreError
from crossrank_ablation.cache import ScoreCache, default_folder
from crossrank_ablation.stored_block import ScoredBlock, description_key


def block(value: float = 1.0, size: int = 4) -> ScoredBlock:
    return ScoredBlock(np.full(size, value, np.float32), ("", "no noun"), 3, 0.5, 0.25)


def kept(cache: ScoreCache, number: int, size: int = 4) -> str:
    description = {"reranker": "toy", "pairs": str(number)}
    key = description_key(description)
    cache.put(key, description, block(number, size))
    return key


def test_a_block_comes_back_as_it_was(tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path / "new" / "scores")
    description = {"reranker": "toy", "pairs": "a"}
    key = description_key(description)
    assert cache.get(key, description) is None
    given = ScoredBlock(np.array([1, np.nan, -2], np.float32), ("", "no noun"), 3, 0.5, 0.25)
    cache.put(key, description, given)
    found = ScoreCache(tmp_path / "new" / "scores").get(key, description)
    assert found is not None
    np.testing.assert_array_equal(found.values, given.values)
    assert found.reasons == ("", "no noun")
    assert (found.calls, found.seconds, found.prepare_seconds) == (3, 0.5, 0.25)
    assert [entry.description for entry in cache.entries()] == [description]
    assert cache.broken() == []


def test_another_description_is_never_believed(tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path)
    key = kept(cache, 1)
    assert cache.get(key, {"reranker": "toy", "pairs": "2"}) is None


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "head", "other"])
def test_a_damaged_block_counts_as_not_there(tmp_path: Path, damage: str) -> None:
    cache = ScoreCache(tmp_path)
    key = kept(cache, 1)
    path = tmp_path / f"{key}.scores"
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
    elif damage == "head":
        content[0] ^= 0xFF
    elif damage == "other":
        content = bytearray((tmp_path / f"{kept(cache, 2)}.scores").read_bytes())
    left = {"cut": bytes(content[:-2]), "empty": b""}
    path.write_bytes(left.get(damage, bytes(content)))
    assert cache.get(key, {"reranker": "toy", "pairs": "1"}) is None
    assert path in cache.broken()
    assert len(cache.entries()) >= 1
    assert cache.remove(cache.broken()) == 1
    assert cache.broken() == []


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path)
    keys = [kept(cache, number, 1000) for number in range(3)]
    size = (tmp_path / f"{keys[0]}.scores").stat().st_size
    for age, key in zip((30, 20, 10), keys, strict=True):
        then = time.time() - age
        os.utime(tmp_path / f"{key}.scores", (then, then))
    assert cache.get(keys[0], {"reranker": "toy", "pairs": "0"}) is not None  # used just now
    small = ScoreCache(tmp_path, limit=3 * size + 10)
    new = kept(small, 3, 1000)
    assert {entry.key for entry in small.entries()} == {keys[0], keys[2], new}


def test_a_folder_with_foreign_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(StoreError, match=r"holds 'holiday.jpg'; give a new or empty folder"):
        ScoreCache(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    ours = tmp_path / "ours"
    ScoreCache(ours)
    (ours / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"notes\.txt"):
        ScoreCache(ours)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "cache.json").write_text('{"format": "pip"}')
    with pytest.raises(StoreError, match=r"cache\.json"):
        ScoreCache(theirs)


def test_a_file_in_the_way_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        ScoreCache(tmp_path / "file")


def test_no_room_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match=r"raise its limit or go without \(--no-cache\)"):
        ScoreCache(tmp_path, limit="5KB").check_room(needed=100_000, largest=4000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=50_000))
    with pytest.raises(StoreError, match="50,000 bytes free, and this study writes up to 100,000"):
        ScoreCache(tmp_path).check_room(needed=100_000, largest=4000)
    ScoreCache(tmp_path).check_room(needed=40_000, largest=4000)


def test_a_disk_that_fills_up_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ScoreCache(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="free some space"):
        kept(cache, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache.json", "locks"]


def test_what_a_killed_process_left_is_tidied(tmp_path: Path) -> None:
    ScoreCache(tmp_path)
    name = f".{'ab' * 16}.scores."
    old, new = (tmp_path / f"{name}{number:012x}" for number in range(2))
    older = tmp_path / ".partial-old"  # as versions before wrote
    for path in (old, older, new):
        path.write_bytes(b"half")
    for path in (old, older):
        os.utime(path, (1, 1))
    ScoreCache(tmp_path)
    assert not old.exists() and not older.exists()
    assert new.exists()  # somebody may be writing it


def test_every_user_may_read_what_one_wrote(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        kept(ScoreCache(tmp_path), 1)
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o644}


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path / "cache")
    other = tmp_path / "precious"
    other.write_text("all of it")
    (tmp_path / "cache" / "locks" / "prune").symlink_to(other)
    with pytest.raises(StoreError, match="cannot be written"):
        kept(cache, 1)
    assert other.read_text() == "all of it"


WAITS = """
import sys, time
from pathlib import Path
from crossrank_ablation.cache import ScoreCache
cache, log = ScoreCache(sys.argv[1]), Path(sys.argv[2])
with cache.claim("ab" * 16):
    with log.open("a") as file: file.write("in ")
    time.sleep(0.2)
    with log.open("a") as file: file.write("out ")
"""


def test_two_processes_wait_for_each_other(tmp_path: Path) -> None:
    log = tmp_path / "log"
    children = [
        subprocess.Popen([sys.executable, "-c", WAITS, str(tmp_path / "c"), str(log)])
        for _ in range(3)
    ]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert log.read_text().split() == ["in", "out"] * 3


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert default_folder() == tmp_path / "user-cache" / "scores"
    monkeypatch.delenv("CROSSRANK_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_folder() == Path("/somewhere/crossrank/scores")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == Path.home() / ".cache/crossrank/scores"
