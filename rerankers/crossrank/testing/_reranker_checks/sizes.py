"""Blocks and galleries of any size, whatever memory and threads there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossrank._items.collection import Collection
from crossrank._items.ragged import Ragged
from crossrank._lists.candidates import Candidates
from crossrank.errors import CrossrankError
from crossrank.plugin._threads import LIMITS
from crossrank.testing._case import RerankerCase
from crossrank.testing._differences import PairScores, require_same_scores

MANY = 80
"""More than any tile that comes to mind."""
ROWS = (1 << 15) + 20
"""More than fit 16 bits."""
MOST_BYTES = 1 << 28
BUDGETS = (1 << 16, 1 << 24, 1 << 34)
THREADS = (1, 3)

Rows = NDArray[np.int64]


def large_blocks_score_the_same(case: RerankerCase) -> None:
    """Expect of many queries, and of many candidates, what each pair scores among few.

    Two items of each side repeat, so that equal ones are scored too.
    """
    for queries, candidates in ((MANY, 2), (2, MANY)):
        _require_same_as_few(
            case,
            np.arange(queries) % 2,
            np.arange(candidates) % 2,
            np.arange(candidates),
            f"in a block of {queries} queries and {candidates} candidates, where items repeat",
            "score each pair by itself, however many there are, and equal items alike",
        )


def large_galleries_score_the_same(case: RerankerCase) -> None:
    """Expect of candidates far behind in the gallery what they score in front."""
    if _bytes(case.gallery) // len(case.gallery) * ROWS > MOST_BYTES:
        return
    items = np.zeros(ROWS, np.int64)
    items[-1] = 1
    _require_same_as_few(
        case,
        np.arange(2),
        items,
        np.arange(ROWS - 2, ROWS),
        f"in a gallery of {ROWS:,}",
        "hold rows as int64, as block.candidate_rows has them",
    )


def memory_and_threads_do_not_matter(case: RerankerCase) -> None:
    """Expect the same scores for any memory budget and number of threads."""
    expected = case.start().scores()
    for budget in BUDGETS:
        try:
            found = case.start(memory_budget=budget).scores()
        except CrossrankError:
            continue  # so little may not suffice
        mend = "the budget may decide how much is computed at once, not what"
        require_same_scores(expected, found, f"with memory_budget={budget:,}", mend)
    for number in THREADS:
        with LIMITS.held_to(number):
            found = case.start(threads=number).scores()
        mend = "how many threads compute may not enter a score"
        require_same_scores(expected, found, f"with threads={number}", mend)


def _require_same_as_few(
    case: RerankerCase, asked: Rows, items: Rows, listed: Rows, when: str, mend: str
) -> None:
    """Score the first two items of each side, then many that repeat them."""
    two = np.arange(2)
    expected = {_own(pair): score for pair, score in _scores(case, two, two, two).items()}
    if _looks_at_the_gallery(case, expected):
        return  # a statistic of the gallery is part of such a score, and it is another gallery
    for pair, score in _scores(case, asked, items, listed).items():
        require_same_scores(expected, {_own(pair): score}, when, mend)


def _looks_at_the_gallery(case: RerankerCase, expected: PairScores) -> bool:
    """Tell whether a pair scores otherwise in a gallery where one of its items stands thrice."""
    items = np.array([0, 0, 0, 1])
    for pair, score in _scores(case, np.arange(2), items, np.array([2, 3])).items():
        try:
            require_same_scores(expected, {_own(pair): score}, "", "")
        except AssertionError:
            return True
    return False


def _own(pair: tuple[str, str]) -> tuple[str, str]:
    """Return the ids of the items that were repeated."""
    return pair[0].partition(":")[2], pair[1].partition(":")[2]


def _scores(case: RerankerCase, asked: Rows, items: Rows, listed: Rows) -> PairScores:
    """Score lists of some rows of a gallery of repeated items, for repeated queries."""
    queries, gallery = _many(case.queries, asked), _many(case.gallery, items)
    index = np.tile(listed, (len(queries), 1))
    # a base score is that of the items, wherever they lie
    base = 0.25 * asked[:, None] + 0.125 * items[index]
    lists = Candidates(
        index, base, np.ones(index.shape, np.bool_), queries.ids, gallery.ids, case.direction
    )
    return case.start(lists, queries=queries, gallery=gallery).scores()


def _many(side: Collection, rows: Rows) -> Collection:
    return side.take(rows, ids=[f"{at}:{side.ids[row]}" for at, row in enumerate(rows)])


def _bytes(side: Collection) -> int:
    flat = (
        each.flat if isinstance(each, Ragged) else each
        for each in map(side.__getitem__, side.features)
    )
    return sum(int(getattr(each, "nbytes", 0)) for each in flat)


UNLESS_TRANSDUCTIVE = (large_blocks_score_the_same, large_galleries_score_the_same)
