"""The score of a pair depends on this pair alone (and, if transductive, on what `prepare` saw)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._lists.candidates import Candidates
from crossrank.plugin.contract import Block
from crossrank.testing._case import RerankerCase
from crossrank.testing._check import require
from crossrank.testing._differences import TOLERANCE, PairScores, require_same_scores

ALONE = "score each pair by itself"


def block_size_does_not_matter(case: RerankerCase) -> None:
    """Expect the same scores whether queries are scored together or apart."""
    run = case.start()
    together = run.scores()
    rows = run.rows()
    for size in (1, 2):
        blocks = [run.block(rows[at : at + size]) for at in range(0, len(rows), size)]
        when = f"with blocks of {size} of the {len(rows)} queries"
        mend = f"{ALONE}: how queries are batched into blocks follows from the memory at hand"
        require_same_scores(together, run.scores(*blocks), when, mend)


def order_of_candidates_does_not_matter(case: RerankerCase) -> None:
    """Expect the same scores in whatever order a list comes."""
    expected = case.start().scores()
    for reordered in _reorderings(case.lists()):
        require_same_scores(
            expected,
            case.start(reordered).scores(),
            "when the list is in another order",
            f"{ALONE}, not by its place in the list",
        )


def other_candidates_do_not_matter(case: RerankerCase) -> None:
    """Expect the same score of a candidate in a list of its own."""
    expected = case.start().scores()
    for alone in _lists_of_one(case.lists()):
        require_same_scores(
            expected,
            case.start(alone).scores(),
            "without the other candidates of its list",
            f"{ALONE}: neither padding nor a statistic of the list may enter; fusion normalises",
        )


def other_queries_do_not_matter(case: RerankerCase) -> None:
    """Expect the same scores of a query in a run of its own."""
    run = case.start()
    expected = run.scores()
    for row in run.rows():
        alone = case.start(case.lists().take([row]), queries=case.queries.take([row]))
        require_same_scores(
            expected,
            alone.scores(),
            "without the other queries",
            f"{ALONE}, or say transductive=True in info",
        )


def masked_places_do_not_matter(case: RerankerCase) -> None:
    """Expect the same scores whatever lies behind the end of a list."""
    run = case.start()
    block = run.block()
    expected = run.scores(block)
    for padded in _paddings(block):
        require_same_scores(
            expected,
            run.scores(padded),
            "when there is something else behind the end of the list",
            "use block.mask: where it is False, neither index nor base_scores mean anything",
        )


def screening_keeps_the_best(case: RerankerCase) -> None:
    """Expect exact scores of the best where ``block.keep`` is set, and the others below."""
    run = case.start()
    exact = run.scores()
    for keep in (1, 3):
        screened = run.scores(run.block(keep=keep))
        for query in case.queries.ids:
            _require_same_best(exact, screened, query, keep)


def _require_same_best(exact: PairScores, screened: PairScores, query: str, keep: int) -> None:
    best, found = _best(exact, query)[:keep], _best(screened, query)[:keep]
    require(len(best) == len(found), f"with keep={keep} query {query!r} has {len(found)} scores")
    for place, ((before, _), (now, candidate)) in enumerate(zip(best, found, strict=True), 1):
        own = exact[query, candidate]
        near = TOLERANCE * max(1.0, abs(before))
        require(
            own is not None and abs(before - now) <= near and abs(own - now) <= near,
            f"with keep={keep} candidate {candidate!r} of query {query!r} is no. {place} with "
            f"{now:.8g}, where no. {place} has {before:.8g} and this one {own}: the best `keep` "
            "scores must be exact, and the others below them",
        )


def _best(scores: PairScores, query: str) -> list[tuple[float, str]]:
    own = [(s, pair[1]) for pair, s in scores.items() if pair[0] == query and s is not None]
    return sorted(own, reverse=True)


def _reorderings(lists: Candidates) -> Iterator[Candidates]:
    """Yield every list backwards, and in random orders."""
    rng = np.random.default_rng(1)
    for attempt in range(3):
        orders = []
        for mask in lists.mask:
            taken = np.flatnonzero(mask)
            mixed = taken[::-1] if attempt == 0 else rng.permutation(taken)
            orders.append(np.concatenate([mixed, np.flatnonzero(~mask)]))
        yield _arranged(lists, np.array(orders, np.int64))


def _arranged(lists: Candidates, order: NDArray[np.int64]) -> Candidates:
    scores = lists.scores
    return replace(
        lists,
        index=np.take_along_axis(lists.index, order, axis=1),
        mask=np.take_along_axis(lists.mask, order, axis=1),
        scores=None if scores is None else np.take_along_axis(scores, order, axis=1),
    )


def _lists_of_one(lists: Candidates) -> Iterator[Candidates]:
    """Yield lists that hold only the first candidate each, then only the second."""
    for place in range(lists.mask.shape[1]):
        yield _arranged(lists, np.full((len(lists), 1), place, np.int64))


def _paddings(block: Block) -> Iterator[Block]:
    """Yield the block with more masked places, and with other contents in them."""
    for more, base in ((0, 1e6), (3, 0.0), (5, np.nan)):
        mask = np.pad(block.mask, ((0, 0), (0, more)))
        junk = np.arange(mask.size).reshape(mask.shape) % max(1, len(block.candidates))
        index = np.where(mask, np.pad(block.index, ((0, 0), (0, more))), junk)
        columns = {"base_scores": block.base_scores, "previous": block.previous}
        padded: dict[str, Any] = {
            name: np.where(mask, np.pad(column, ((0, 0), (0, more))), base)
            for name, column in columns.items()
            if column is not None
        }
        yield replace(block, index=index, mask=mask, **padded)


UNLESS_TRANSDUCTIVE = (other_candidates_do_not_matter, other_queries_do_not_matter)
