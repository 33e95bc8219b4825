"""Caches are held to their limit by one rule, which follows no link."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from crossrank.plugin.files import cached_files, evict, remove_stale

OURS = re.compile(r"[a-z]\.kept")


def files_of(folder: Path, **ages: int) -> None:
    """Make files of 100 bytes; a larger age is longer ago."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, age in ages.items():
        path = folder / f"{name}.kept"
        path.write_bytes(b"x" * 100)
        os.utime(path, (10_000 - age,) * 2)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    files_of(tmp_path, a=1, b=3)
    files_of(tmp_path / "deeper", c=2)
    (tmp_path / "notes.txt").write_bytes(b"x" * 1000)
    assert evict(cached_files(tmp_path, OURS), 300) == 300
    assert evict(cached_files(tmp_path, OURS), 299) == 200
    assert names(tmp_path) == ["a.kept", "c.kept", "notes.txt"]
    assert evict(cached_files(tmp_path, OURS), 50) == 0
    assert evict(cached_files(tmp_path / "nowhere", OURS), 0) == 0


def test_what_must_stay_stays_and_counts(tmp_path: Path) -> None:
    files_of(tmp_path, a=3, b=2, c=1)
    left = evict(cached_files(tmp_path, OURS), 50, keep=lambda path: path.stem == "a")
    assert left == 100
    assert names(tmp_path) == ["a.kept"]


def test_no_link_is_followed(tmp_path: Path) -> None:
    files_of(tmp_path / "elsewhere", a=9, b=8)
    cache = tmp_path / "cache"
    files_of(cache, c=1)
    (cache / "model").symlink_to(tmp_path / "elsewhere")
    (cache / "d.kept").symlink_to(tmp_path / "elsewhere" / "a.kept")
    assert evict(cached_files(cache, OURS), 0) == 0
    assert names(tmp_path / "elsewhere") == ["a.kept", "b.kept"]
    assert not (cache / "d.kept").is_symlink()


def test_unfinished_files_stay_while_somebody_may_write_them(tmp_path: Path) -> None:
    files_of(tmp_path, a=1)
    (tmp_path / "b.kept").write_bytes(b"")
    remove_stale(cached_files(tmp_path, OURS))
    assert names(tmp_path) == ["b.kept"]
    (tmp_path / "c.kept").symlink_to(tmp_path / "nowhere")
    os.utime(tmp_path / "c.kept", (0, 0), follow_symlinks=False)
    remove_stale(cached_files(tmp_path, OURS))
    assert not (tmp_path / "c.kept").is_symlink()


def test_a_file_that_cannot_be_removed_is_told_only_if_it_is_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files_of(tmp_path, a=2, b=1)
    remove = Path.unlink

    def refused(path: Path, missing_ok: bool = False) -> None:
        if path.stem == "a":
            raise PermissionError(path)
        remove(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)
    assert evict(cached_files(tmp_path, OURS), 100) == 100
    with pytest.raises(PermissionError):
        evict(cached_files(tmp_path, OURS), 50)
