"""Sizes, progress and the files that appear when complete."""

import errno
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossrank._engine.block import block_bytes
from crossrank._engine.options import RunOptions, parse_bytes
from crossrank._engine.resources import Resources
from crossrank._files.atomic import atomic_bytes, atomic_file, atomic_folder
from crossrank._progress import as_progress
from crossrank.errors import InputError, StoreError


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2 << 30), ("512 mb", 512 << 20), ("1.5K", 1536), ("7", 7), (4096, 4096), ("3B", 3)],
)
def test_sizes_are_read(text: str | int, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "2 GiB!", "0", "1e9"])
def test_bad_sizes_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="size"):
        parse_bytes(text)


@given(st.integers(1, 64))
def test_threads_are_shared_among_workers(workers: int) -> None:
    threads = Resources.of(RunOptions(workers=workers)).threads
    assert threads >= 1
    assert threads * workers <= max(workers, os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"dtype": "float8"}, "dtype is 'float8'; give one of float32"),
        ({"gpus_per_worker": -1, "engine": "ray"}, "gpus_per_worker is -1; give"),
        ({"gpus_per_worker": 0.5}, "do nothing without engine='ray'"),
        ({"ray_address": "auto"}, "do nothing without engine='ray'"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        RunOptions(**options)


@given(st.integers(1, 1 << 40), st.integers(1, 64))
def test_as_many_workers_as_the_budget_has_room_for(budget: int, workers: int) -> None:
    within = Resources.of(RunOptions(memory_budget=budget, workers=workers)).within_budget()
    assert 1 <= within <= workers
    assert within * block_bytes(budget) <= budget


def test_bars_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    bars = as_progress(True)
    for done in (1, 2, 3):
        bars("rerank", done, 3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "rerank" in captured.err
    as_progress(None)("rerank", 1, 3)
    assert capsys.readouterr().err == ""


def test_a_file_appears_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(path) as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "old"
    with atomic_file(path) as file:
        file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["x"]


def test_a_folder_appears_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x"
    with pytest.raises(RuntimeError), atomic_folder(path) as folder:
        (folder / "half").write_text("")
        raise RuntimeError
    assert names(path.parent) == []
    with atomic_folder(path) as folder:
        (folder / "whole").write_text("")
    assert names(path) == ["whole"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), OSError("9 requested and 4 written")]
)
def test_a_full_disk_is_recognised_however_it_is_told(tmp_path: Path, error: OSError) -> None:
    with pytest.raises(StoreError, match="free some space"), atomic_folder(tmp_path / "x"):
        raise error
    assert names(tmp_path) == []


def test_an_unwritable_place_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match="could not be written"),
        atomic_file(tmp_path / "missing" / "x"),
    ):
        pass
    with (
        pytest.raises(StoreError, match="could not be written"),
        atomic_folder(tmp_path / "file" / "x"),
    ):
        pass


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has a umask")
def test_what_is_written_may_be_read_by_whom_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_bytes(tmp_path / "bytes", b"x")
        with atomic_file(tmp_path / "text") as file:
            file.write("x")
        with atomic_folder(tmp_path / "folder"):
            pass
    finally:
        assert os.umask(before) == 0o027
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"bytes": 0o640, "text": 0o640, "folder": 0o750}


def test_keywords_win_over_a_record_of_options() -> None:
    record = RunOptions(workers=2, memory_budget="1GB")
    assert RunOptions.of("rerank", record, {"workers": 3}) == replace(record, workers=3)
    assert RunOptions.of("rerank", None, {}) == RunOptions()
    with pytest.raises(InputError, match="rerank has no option 'worker'"):
        RunOptions.of("rerank", None, {"worker": 3})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(InputError, match="options is a dict"):
        RunOptions.of("rerank", {"workers": 3}, {})  # type: ignore[arg-type]


def test_none_stands_for_the_default_of_every_option() -> None:
    nothing: Any = dict.fromkeys(each.name for each in fields(RunOptions))
    assert RunOptions(**nothing) == RunOptions()
    assert RunOptions.of("rerank", None, nothing) == RunOptions()
