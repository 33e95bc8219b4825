"""Runs of rows cut into blocks and rows beside them: everything of a run, nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from crossrank_filip.torch_kernel import BLOCK, TorchKernel, cut  # noqa: E402

LENGTHS = st.lists(st.integers(1, 70), min_size=1, max_size=9)


@given(LENGTHS | st.lists(st.integers(2 * BLOCK, 90), min_size=1, max_size=9))
@settings(deadline=None)
def test_a_run_is_its_blocks_and_the_rows_beside_them(lengths: list[int]) -> None:
    blocks, rows = cut(np.array(lengths))
    if rows is None:
        assert blocks is None
        return
    ends = np.cumsum(lengths)
    for run, (start, end) in enumerate(zip(ends - lengths, ends, strict=True)):
        held = set(rows[run].tolist())
        for block in () if blocks is None else set(blocks[run].tolist()):
            held |= set(range(block * BLOCK, (block + 1) * BLOCK))
        assert held == set(range(start, end))


@given(LENGTHS | st.lists(st.integers(2 * BLOCK, 90), min_size=1, max_size=9), st.integers(0, 99))
@settings(deadline=None)
def test_maxima_are_those_of_each_run(lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(-9, 10, (sum(lengths), 4)).astype(np.float32)  # whole: sums are exact
    anchor = rng.integers(-9, 10, (3, 4)).astype(np.float32)
    found = TorchKernel().best_of_segments(tokens, slice(0, len(tokens)), anchor, np.array(lengths))
    parts = np.split(tokens @ anchor.T, np.cumsum(lengths)[:-1])
    np.testing.assert_array_equal(found, [part.max(axis=0) for part in parts])
