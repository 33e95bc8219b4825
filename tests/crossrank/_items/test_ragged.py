"""Ragged arrays against plain lists of arrays."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossrank import Ragged
from crossrank.errors import InputError

parts = st.lists(st.integers(0, 4), max_size=8)


@given(parts, st.data())
def test_items_and_take_equal_plain_lists(lengths: list[int], data: st.DataObject) -> None:
    arrays = [np.full((n, 2), k, np.float32) for k, n in enumerate(lengths)]
    ragged = (
        Ragged.from_list(arrays) if arrays else Ragged(np.zeros((0, 2), np.float32), np.zeros(0))
    )
    assert len(ragged) == len(arrays)
    for found, expected in zip(ragged, arrays, strict=True):
        np.testing.assert_array_equal(found, expected)
    chosen = data.draw(st.lists(st.integers(0, max(len(arrays) - 1, 0)), max_size=8))
    if arrays:
        taken = ragged.take(np.array(chosen, np.int64))
        assert len(taken) == len(chosen)
        for found, row in zip(taken, chosen, strict=True):
            np.testing.assert_array_equal(found, arrays[row])


def test_an_item_is_a_view() -> None:
    flat = np.arange(6.0).reshape(3, 2)
    assert np.shares_memory(Ragged(flat, [1, 2])[1], flat)
    np.testing.assert_array_equal(Ragged(flat, [1, 2])[-1], flat[1:])


@pytest.mark.parametrize("lengths", [[1, 1], [-1, 4], [[3]], [1.5, 1.5], [4]])
def test_lengths_that_do_not_fit_are_refused(lengths: list[Any]) -> None:
    with pytest.raises(InputError, match="Ragged"):
        Ragged(np.zeros((3, 2)), lengths)


def test_an_item_out_of_range_ends_iteration_and_raises() -> None:
    ragged = Ragged(np.zeros((3, 2)), [1, 2])
    with pytest.raises(IndexError):
        ragged[2]
    with pytest.raises(IndexError):
        ragged[-3]
