"""How a run is cut: into blocks, which are kept and sent, and into portions, which are scored.

Both follow from the candidates and the memory budget alone, never from the number of workers or
threads, so that the same budget gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from crossrank._engine.block import block_bytes, distinct
from crossrank.errors import BudgetError

MOST_QUERIES = 512
PORTION_BYTES = 32 << 20
"""Large enough for what is done between two portions to count little, small enough to be allocated
without new pages, which glibc does not do for more."""
SHARED = 2
"""A portion may be larger if cutting it up would have to read this many times as much."""
PLACE_BYTES = 64
"""What a place of a list takes besides features: its index, its scores."""


class Weights:
    """How many bytes some queries and their distinct candidates take.

    Parameters
    ----------
    index, mask
        ``[Q, K]`` the candidates of each query.
    query_bytes, candidate_bytes
        ``[Q]`` and ``[N]``: what the features of each query and of each gallery row weigh.
    """

    def __init__(
        self,
        index: NDArray[np.int64],
        mask: NDArray[np.bool_],
        query_bytes: NDArray[np.int64],
        candidate_bytes: NDArray[np.int64],
    ) -> None:
        self.index, self.mask = index, mask
        self.query_bytes, self.candidate_bytes = query_bytes, candidate_bytes

    def __len__(self) -> int:
        return len(self.index)

    def __call__(self, rows: range) -> int:
        """Return the weight of consecutive queries."""
        part = slice(rows.start, rows.stop)
        used = distinct(self.index[part][self.mask[part]], len(self.candidate_bytes))
        features = int(self.query_bytes[part].sum()) + int(self.candidate_bytes[used].sum())
        return features + int(PLACE_BYTES * self.index.shape[1] * len(rows))


def layout(weights: Weights, memory_budget: int, query_ids: Sequence[str] = ()) -> list[range]:
    """Cut queries into consecutive blocks whose features fit a share of the budget.

    Parameters
    ----------
    weights
        Of all queries.
    memory_budget
        In bytes; a block takes at most an eighth of it, or a single query if that is more.
    query_ids
        ``[Q]`` what to call a query whose block does not fit.

    Raises
    ------
    BudgetError
        If a single query with its candidates exceeds the budget.
    """
    share = block_bytes(memory_budget)

    def fitting(rows: range) -> Iterator[range]:
        needed = weights(rows)
        if needed <= share or len(rows) <= 1:
            if needed > memory_budget:
                name = repr(query_ids[rows.start]) if query_ids else rows.start
                raise BudgetError(
                    f"query {name} and its {int(weights.mask[rows.start].sum())} candidates need "
                    f"{needed:,} bytes where memory_budget grants {memory_budget:,}; grant more, "
                    "or cut the lists (depth)"
                )
            yield rows
            return
        middle = len(rows) // 2
        yield from fitting(rows[:middle])
        yield from fitting(rows[middle:])

    starts = range(0, len(weights), MOST_QUERIES)
    return [
        rows
        for start in starts
        for rows in fitting(range(start, min(start + MOST_QUERIES, len(weights))))
    ]


def portions(weights: Weights, rows: range) -> list[range]:
    """Cut a block into consecutive portions of about `PORTION_BYTES`.

    It stays whole where its queries share most of their candidates: each portion reads its own.
    """
    return _portions(weights, rows)[0]


def _portions(weights: Weights, rows: range) -> tuple[list[range], int]:
    whole = weights(rows)
    if whole <= PORTION_BYTES or len(rows) <= 1:
        return [rows], whole
    middle = len(rows) // 2
    (left, left_bytes), (right, right_bytes) = (
        _portions(weights, half) for half in (rows[:middle], rows[middle:])
    )
    if left_bytes + right_bytes > SHARED * whole:
        return [rows], whole
    return left + right, left_bytes + right_bytes
