"""How a run is cut into blocks, and blocks into portions."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossrank._engine.partition import PORTION_BYTES, SHARED, Weights, layout, portions
from crossrank.errors import BudgetError


@given(st.integers(0, 40), st.integers(0, 5), st.integers(1, 100_000), st.integers(0, 500))
def test_blocks_cover_all_queries_in_order_and_fit_the_budget(
    count: int, width: int, budget: int, weight: int
) -> None:
    rng = np.random.default_rng(count)
    index = rng.integers(0, 9, size=(count, width))
    mask = rng.random((count, width)) < 0.8
    weights = Weights(index, mask, np.full(count, 16), np.full(9, weight))
    ids = [f"q{row}" for row in range(count)]
    needed = [
        16 + weight * len(np.unique(index[row][mask[row]])) + 64 * width for row in range(count)
    ]
    if max(needed, default=0) > budget:
        with pytest.raises(BudgetError, match=r"query 'q\d+' and its \d candidates need") as raised:
            layout(weights, budget, ids)
        assert f"{next(each for each in needed if each > budget):,} bytes" in str(raised.value)
        return
    blocks = layout(weights, budget, ids)
    assert list(chain.from_iterable(blocks)) == list(range(count))
    for rows in blocks:
        part = slice(rows.start, rows.stop)
        used = np.unique(index[part][mask[part]])
        heavy = 16 * len(rows) + weight * len(used) + 64 * width * len(rows)
        assert len(rows) == 1 or heavy <= budget // 8


@given(st.integers(1, 70), st.integers(1, 40), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_portions_are_small_or_share_their_candidates(
    count: int, width: int, gallery: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    index = rng.integers(0, gallery, size=(count, width))
    mask = rng.random((count, width)) < 0.8
    candidate_bytes = rng.integers(0, PORTION_BYTES // 4, size=gallery)
    weights = Weights(index, mask, np.zeros(count, np.int64), candidate_bytes)
    parts = portions(weights, range(count))
    assert list(chain.from_iterable(parts)) == list(range(count))
    for rows in parts:
        alone = sum(weights(range(row, row + 1)) for row in rows)
        # cut up to the last query it would be read several times
        assert len(rows) == 1 or weights(rows) <= max(PORTION_BYTES, alone / SHARED)


def test_a_block_whose_queries_share_their_candidates_is_not_read_twice() -> None:
    index, mask = np.tile(np.arange(100), (64, 1)), np.ones((64, 100), bool)
    heavy = np.full(100, PORTION_BYTES // 50)
    weights = Weights(index, mask, np.zeros(64, np.int64), heavy)
    assert portions(weights, range(64)) == [range(64)]
    apart = Weights(
        np.arange(400).reshape(4, 100), mask[:4], np.zeros(4, np.int64), heavy.repeat(4)
    )
    assert portions(apart, range(1, 4)) == [range(1, 2), range(2, 3), range(3, 4)]
