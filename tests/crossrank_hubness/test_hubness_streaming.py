"""Blocks give what the whole matrix gives, whatever they are cut into."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from crossrank_hubness import streaming
from crossrank_hubness.biases import mean_of_largest
from toys.hubness import unit_rows


def quiet(done: int) -> None: ...


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 40),
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 4000),
    st.integers(1, 9),
    st.integers(1, 9),
    st.booleans(),
)
def test_blocks_of_any_size(
    items: int, bank: int, k: int, block_bytes: int, first: int, rows: int, coarse: bool
) -> None:
    rng = np.random.default_rng(items + 100 * bank)
    vectors, reference = unit_rows(rng, items), unit_rows(rng, bank)
    if coarse:  # many equal products
        vectors, reference = np.round(vectors), np.round(reference)
    count = min(k, bank)
    whole = vectors.astype(np.float64) @ reference.astype(np.float64).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "FIRST_ROWS", first)
        patch.setattr(streaming, "BANK_ROWS", rows)
        means = streaming.top_k_means(
            vectors.__getitem__, items, reference, count, block_bytes, quiet
        )
        sums = streaming.log_sums(vectors.__getitem__, items, reference, 30.0, block_bytes, quiet)
    np.testing.assert_allclose(means, mean_of_largest(whole, count), atol=1e-6)
    np.testing.assert_allclose(sums, logsumexp(30 * whole, axis=1), atol=30 * 1e-6)


def test_a_block_stays_within_its_bytes() -> None:
    import tracemalloc

    rng = np.random.default_rng(0)
    vectors, bank = unit_rows(rng, 3000, 4), unit_rows(rng, 9000, 4)
    tracemalloc.start()
    streaming.top_k_means(vectors.__getitem__, 3000, bank, 64, 4 << 20, quiet)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5 << 20


def test_sums_of_hardly_anything() -> None:
    far = np.array([[-1.0, 0.0]], np.float32)
    bank = np.array([[1.0, 0.0], [1.0, 0.0]], np.float32)
    found = streaming.log_sums(far.__getitem__, 1, bank, 5000.0, 1 << 20, quiet)
    np.testing.assert_allclose(found, -5000 + np.log(2), rtol=1e-6)
