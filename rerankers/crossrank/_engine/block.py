"""The block loop: what a block holds, and running them all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from crossrank._items.collection import Collection
from crossrank._items.feature import Feature
from crossrank._items.ragged import Ragged
from crossrank.plugin.contract import Block, Needs

SHARE_OF_BUDGET = 8
MOST_BYTES = 256 << 20
"""Larger blocks gain nothing, and a budget that follows the machine would change their layout."""
JSON_BYTES = 200
MARKED = 16
"""Among so many rows for each value, at most, marking rows is quicker than sorting values."""
SHARED_LITTLE = 1.25
"""Candidates that are listed less often than this, on average, lie in the order of the lists."""

Result = TypeVar("Result")
Scalar = TypeVar("Scalar", bound=np.generic)


def block_bytes(memory_budget: int) -> int:
    """Return how large a block may be."""
    return min(memory_budget // SHARE_OF_BUDGET, MOST_BYTES)


def feature_bytes(collection: Collection, features: Sequence[str]) -> NDArray[np.int64]:
    """Return ``[N]`` what some features of each item weigh in memory."""
    total = np.zeros(len(collection), np.int64)
    for name in features:
        total += _bytes(collection[name])
    return total


def make_block(
    rows: NDArray[np.int64],
    index: NDArray[np.int64],
    mask: NDArray[np.bool_],
    base_scores: NDArray[np.float64] | None,
    queries: Collection,
    gallery: Collection,
    needs: Needs,
    direction: str,
    keep: int | None = None,
    previous: NDArray[np.float64] | None = None,
) -> Block:
    """Gather what some queries and their distinct candidates need.

    Parameters
    ----------
    rows
        ``[B]`` rows of `queries`.
    index, mask, base_scores, previous
        ``[B, K]`` their candidates, and the scores of these.
    """
    listed = index[mask]
    candidate_rows = distinct(listed, len(gallery))
    places = np.searchsorted(candidate_rows, listed)
    if len(listed) < SHARED_LITTLE * len(candidate_rows):
        order = by_first_use(places, mask)
        candidate_rows, places = candidate_rows[order], np.argsort(order)[places]
    local = np.zeros(index.shape, np.int64)
    local[mask] = places
    return Block(
        queries=_part(queries, rows, needs.queries),
        candidates=_part(gallery, candidate_rows, needs.candidates),
        index=_locked(local),
        mask=_locked(mask.view()),
        base_scores=None if base_scores is None else _locked(base_scores.view()),
        direction=direction,
        query_rows=_locked(rows.view()),
        candidate_rows=_locked(candidate_rows),
        keep=keep,
        previous=None if previous is None else _locked(previous.view()),
    )


def run_blocks(
    work: Callable[[range], Result],
    blocks: Sequence[range],
    workers: int,
) -> Generator[tuple[range, Result], None, None]:
    """Yield every block with its result, in order, with at most `workers` under way.

    A few more wait for their turn, so that no worker does while the first of several is late.

    Parameters
    ----------
    work
        Scores one block.
    blocks
        What to score.
    workers
        How many threads.
    """
    if workers == 1 or len(blocks) < 2:
        for rows in blocks:
            yield rows, work(rows)
        return
    waiting: deque[tuple[range, Future[Result]]] = deque()
    rest = iter(blocks)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            while True:
                for rows in islice(rest, 2 * workers - len(waiting)):
                    waiting.append((rows, pool.submit(work, rows)))
                if not waiting:
                    return
                rows, future = waiting.popleft()
                yield rows, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


class ReadAhead:
    """Reads the next block while the last one that was asked for is used.

    Parameters
    ----------
    read
        Reads a block.
    blocks
        Which blocks will be asked for, in this order.
    """

    def __init__(self, read: Callable[[range], Result], blocks: Sequence[range]) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="crossrank-read")
        self._futures = ((rows, self._pool.submit(read, rows)) for rows in blocks)
        self._next = next(self._futures, None)

    def __call__(self, rows: range) -> Any:
        """Return a block, the next of those announced."""
        current, future = self._next if self._next is not None else (None, None)
        if current != rows or future is None:
            raise ValueError(f"block {rows} was not the next one announced")
        block = future.result()
        self._next = next(self._futures, None)
        return block

    def close(self) -> None:
        """Wait for what is being read, and forget it."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def locality(index: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return an order of the lists in which those with near candidates follow each other."""
    counts = np.maximum(mask.sum(axis=1), 1)
    middle = np.where(mask, index, 0).sum(axis=1) / counts
    return np.argsort(middle, kind="stable").astype(np.int64)


def distinct(values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the values in ascending order, each once; many times as fast as `numpy.unique`.

    Parameters
    ----------
    values
        Whole numbers in [0, count).
    count
        How many there could be.
    """
    if count <= MARKED * values.size:
        marks = np.zeros(count, np.bool_)
        marks[values] = True
        return np.flatnonzero(marks)
    ordered = np.sort(values, axis=None)
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def by_first_use(places: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the order in which distinct items are first listed, ascending within a list.

    A list's candidates then lie side by side, and a scorer need not gather them.

    Parameters
    ----------
    places
        Which item stands at each True place of `mask`.
    mask
        ``[B, K]`` the places of the lists that count.
    """
    count = int(places.max(initial=-1)) + 1
    ordered = np.sort(np.nonzero(mask)[0] * count + places) % max(1, count)
    first = np.empty(count, np.int64)
    first[ordered[::-1]] = np.arange(len(ordered))[::-1]  # of several, the last one stays
    return np.argsort(first)


def _part(collection: Collection, rows: NDArray[np.int64], features: Sequence[str]) -> Collection:
    """Take rows, without copying where they are all of them, in order, and in memory."""
    whole = len(rows) == len(collection) and np.array_equal(rows, np.arange(len(rows)))
    if whole and not collection.is_stored(features):
        return collection.read_only(features)
    return collection.take(rows, features).read_only(features)


def _locked(array: NDArray[Scalar]) -> NDArray[Scalar]:
    array.flags.writeable = False
    return array


def _bytes(feature: Feature) -> NDArray[np.int64]:
    if isinstance(feature, Ragged):
        row = int(np.prod(feature.trailing, dtype=np.int64)) * feature.dtype.itemsize
        weights: NDArray[np.int64] = feature.lengths * row
        return weights
    if isinstance(feature, np.ndarray):
        row = int(np.prod(feature.shape[1:], dtype=np.int64)) * feature.dtype.itemsize
        return np.full(len(feature), row, np.int64)
    return np.full(len(feature), JSON_BYTES, np.int64)
