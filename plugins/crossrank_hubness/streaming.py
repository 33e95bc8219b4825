"""What a bank says of every item of a gallery, in blocks: no table of bank × gallery is ever held.

Products are float32; what is made of them is float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossrank_hubness.matrices import Floats

FIRST_ROWS = 1024
"""How much of the bank is compared and sorted first; it gives a floor for all others."""
BANK_ROWS = 4096
"""How much of the bank is compared at a time after that."""
MOST_BYTES = 64 << 20
"""Of a block: larger ones gain nothing."""

Vectors: TypeAlias = NDArray[Any]
Read: TypeAlias = Callable[[slice], Vectors]
Report: TypeAlias = Callable[[int], None]


def top_k_means(
    read: Read, items: int, bank: Vectors, count: int, block_bytes: int, report: Report
) -> Floats:
    """Return ``[n]`` the mean of each item's `count` largest inner products with a bank.

    Parameters
    ----------
    read
        Returns ``[n, D]`` the vectors of some of the items.
    items
        How many there are.
    bank
        ``[m, D]``, any float type; may be memory-mapped.
    count
        From 1 to m.
    block_bytes
        What a block may take.
    report
        Told how many items are behind us.
    """
    means = np.empty(items)
    for part in parts(items, _row_bytes(len(bank), count), block_bytes):
        means[part] = _largest(read(part), bank, count).mean(axis=1, dtype=np.float64)
        report(part.stop)
    return means


def log_sums(
    read: Read, items: int, bank: Vectors, beta: float, block_bytes: int, report: Report
) -> Floats:
    """Return ``[n]`` ``log Σ_b exp(β ⟨item, b⟩)`` over a bank.

    Parameters
    ----------
    read, items, bank, block_bytes, report
        As for `top_k_means`.
    beta
        The inverse temperature.
    """
    sums = np.empty(items)
    for part in parts(items, _row_bytes(len(bank), 0), block_bytes):
        block = read(part)
        high, total = np.full(len(block), -np.inf), np.zeros(len(block))
        for start in range(0, len(bank), BANK_ROWS):
            scaled = block @ _rows(bank, start, start + BANK_ROWS).T
            scaled *= np.float32(beta)
            now = np.maximum(high, scaled.max(axis=1))
            scaled -= now[:, None].astype(np.float32)
            # what the subtraction rounded away is no more than β times a product's own error
            total = total * np.exp(high - now) + np.exp(scaled).sum(axis=1, dtype=np.float64)
            high = now
        sums[part] = high + np.log(total)
        report(part.stop)
    return sums


def products(rows: Vectors, gallery: Vectors, block_bytes: int) -> Iterator[tuple[slice, Floats]]:
    """Yield ``[n, N]`` float64 inner products of some rows at a time with all of a gallery."""
    for part in parts(len(rows), 36 * len(gallery), block_bytes):
        yield part, (rows[part] @ gallery.T).astype(np.float64)


def parts(count: int, row_bytes: int, block_bytes: int) -> Iterator[slice]:
    """Cut rows into blocks of at most so many bytes, or a single row."""
    step = max(1, min(block_bytes, MOST_BYTES) // max(1, row_bytes))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _row_bytes(bank: int, count: int) -> int:
    """Return what an item of a block takes: products, those before, and the largest, twice."""
    return 9 * min(bank, max(BANK_ROWS, 2 * count)) + 16 * count


def _largest(block: NDArray[np.float32], bank: Vectors, count: int) -> Vectors:
    """Return ``[n, count]`` the largest products of each row, in no order."""
    first = max(FIRST_ROWS, 2 * count)
    best = _cut(block @ _rows(bank, 0, first).T, count)
    for start in range(first, len(bank), BANK_ROWS):
        found = block @ _rows(bank, start, start + BANK_ROWS).T
        # hardly any product beats the worst of a full list, so that few are sorted in
        places = np.flatnonzero(found > best.min(axis=1, keepdims=True))
        rows = places // found.shape[1]
        lengths = np.bincount(rows, minlength=len(block))
        more = np.full((len(block), int(lengths.max(initial=0))), -np.inf, np.float32)
        first_of_row = np.cumsum(lengths) - lengths
        more[rows, np.arange(len(rows)) - first_of_row[rows]] = found.ravel()[places]
        best = _cut(np.concatenate([best, more], axis=1), count)
    return best


def _rows(bank: Vectors, start: int, stop: int) -> NDArray[np.float32]:
    return np.asarray(bank[start:stop], np.float32)


def _cut(values: Vectors, count: int) -> Vectors:
    if count >= values.shape[1]:
        return values
    return np.partition(values, values.shape[1] - count, axis=1)[:, -count:]
