"""Tables in the cache folder, in memory and in scratch files."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError, StoreError
from crossrank.plugin.cached_array import cached_array, scratch_array

SHAPE = (5, 3)


def context(folder: Path | None = None, budget: int = 1 << 20) -> cr.Context:
    side = cr.Collection([], "text")
    lists = cr.Candidates.from_lists({})
    return cr.Context(side, side, lists, "t2i", cache_folder=folder, memory_budget=budget)


class Counted:
    """Fills a table, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, table: NDArray[Any]) -> None:
        assert not table.any()
        self.calls += 1
        table[:] = np.arange(table.size).reshape(table.shape)


EXPECTED = np.arange(15).reshape(SHAPE)


@pytest.mark.parametrize("budget", [1 << 20, 1])
def test_without_a_folder_it_lies_in_memory_or_in_a_file_without_a_name(
    budget: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = cached_array("mine", context(budget=budget), "k", SHAPE, Counted())
    assert np.array_equal(table, EXPECTED) and table.dtype == np.float32
    assert isinstance(table, np.memmap) == (budget == 1)
    assert not list(tmp_path.iterdir())


def test_with_a_folder_it_is_computed_once(tmp_path: Path) -> None:
    fill, where = Counted(), context(tmp_path / "new" / "cache")
    for _ in range(2):
        table = cached_array("mine", where, "key", SHAPE, fill, np.float64)
        assert np.array_equal(table, EXPECTED) and table.dtype == np.float64
        assert not table.flags.writeable
    assert fill.calls == 1
    assert [each.name for each in (tmp_path / "new" / "cache").iterdir()] == ["mine-key.npy"]
    assert np.array_equal(np.load(tmp_path / "new" / "cache" / "mine-key.npy"), EXPECTED)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"nonsense", None])
def test_what_cannot_be_used_is_computed_again(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine-key.npy"
    if content is None:
        np.save(path, np.zeros((2, 2), np.float32))
    else:
        path.write_bytes(content)
    fill = Counted()
    assert np.array_equal(cached_array("mine", context(tmp_path), "key", SHAPE, fill), EXPECTED)
    assert fill.calls == 1


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_others_may_read_it_as_the_umask_says(tmp_path: Path, umask: int) -> None:
    """It used to be readable by its owner alone, whatever the umask."""
    before = os.umask(umask)
    try:
        cached_array("mine", context(tmp_path), "key", SHAPE, Counted())
    finally:
        os.umask(before)
    mode = stat.S_IMODE((tmp_path / "mine-key.npy").stat().st_mode)
    assert mode == 0o666 & ~umask


@pytest.mark.parametrize("shape", [(0, 3), (4, 0)])
def test_empty_tables_need_no_file(tmp_path: Path, shape: tuple[int, int]) -> None:
    assert cached_array("mine", context(tmp_path), "key", shape, Counted()).shape == shape
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_nothing_and_is_told_as_it_is(tmp_path: Path) -> None:
    def refuse(table: NDArray[Any]) -> None:
        raise InputError("mine: the image 'x' has no region")

    with pytest.raises(InputError, match=r"^mine: the image 'x' has no region$"):
        cached_array("mine", context(tmp_path), "key", SHAPE, refuse)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_error_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    fill = Counted()
    with pytest.raises(StoreError, match=r"mine-key.npy could not be written.*free some space"):
        cached_array("mine", context(tmp_path), "key", SHAPE, fill)
    with pytest.raises(StoreError, match=r"could not be written.*free some space"):
        scratch_array(SHAPE, 0)
    assert fill.calls == 0 and not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(StoreError, match=r"mine-key.npy could not be written"):
        cached_array("mine", context(tmp_path / "cache"), "key", SHAPE, Counted())
