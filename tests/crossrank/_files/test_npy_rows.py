"""Rows read from files: the same as from the map, and an error where the file was changed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crossrank as cr
from crossrank._files.npy_rows import StoredArray, is_stored, take_rows, take_spans
from crossrank.errors import StoreError


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stored") / "rows.npy"
    np.save(path, np.random.default_rng(0).normal(size=(50, 3)).astype(np.float16))
    return path


@given(st.lists(st.tuples(st.integers(0, 49), st.integers(0, 5)), max_size=20))
def test_spans_are_those_of_the_array(file: Path, spans: list[tuple[int, int]]) -> None:
    array = StoredArray.open(file)
    assert is_stored(array)
    starts = np.array([start for start, _ in spans], np.int64)
    lengths = np.array([min(length, 50 - start) for start, length in spans], np.int64)
    found = take_spans(array, starts, lengths)
    parts = [array[start : start + length] for start, length in zip(starts, lengths, strict=True)]
    expected = np.concatenate([np.zeros((0, 3), np.float16), *parts])
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float16
    assert not isinstance(found, np.memmap)
    np.testing.assert_array_equal(take_spans(np.asarray(array), starts, lengths), expected)


def test_parts_of_a_file_and_arrays_in_memory_are_taken_as_ever(file: Path) -> None:
    array = StoredArray.open(file)
    for part in (array[10:], array[:, 1:], array.T, np.asarray(array)):
        assert not is_stored(part)
        rows = np.array([2, 0, 1])
        np.testing.assert_array_equal(take_rows(part, rows), np.asarray(part)[rows])


def test_what_is_computed_from_a_file_is_no_longer_the_file(file: Path) -> None:
    array = StoredArray.open(file)
    for made in (array * 2, array.copy(), array.astype(np.float64), np.sort(array, axis=0)):
        assert not is_stored(made)
        np.testing.assert_array_equal(take_rows(made, np.array([3, 1])), np.asarray(made)[[3, 1]])


def test_rows_outside_are_refused(file: Path) -> None:
    array = StoredArray.open(file)
    for rows in ([50], [-1]):
        with pytest.raises(IndexError, match="50"):
            take_rows(array, np.array(rows))


@pytest.mark.parametrize("harm", ["truncate", "rewrite", "remove"])
def test_a_file_that_changes_under_a_run_is_an_error(tmp_path: Path, harm: str) -> None:
    cr.Collection(list("abc"), "image", embedding=np.eye(3)).save(tmp_path / "gallery")
    gallery = cr.Collection.open(tmp_path / "gallery")
    path = tmp_path / "gallery" / "embedding.npy"
    if harm == "truncate":
        path.write_bytes(path.read_bytes()[:-8])
    elif harm == "rewrite":
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[:-8] + bytes(8))
    else:
        path.unlink()
    with pytest.raises(StoreError, match=r"embedding\.npy was changed or removed while it was in"):
        gallery.take([0, 2])
