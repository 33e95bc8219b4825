"""What a reranker returned stays as it was, and what it did leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crossrank._items.collection import Collection
from crossrank._lists.candidates import Candidates
from crossrank.errors import CrossrankError
from crossrank.testing._case import RerankerCase, Run, read_scores
from crossrank.testing._check import require
from crossrank.testing._differences import require_same_scores

CALLS = 110


def scores_are_the_callers_own(case: RerankerCase) -> None:
    """Expect arrays that no later call changes, and that may be written to."""
    run = case.start()
    block = run.block()
    first = run.scorer.score(block, run.state)
    expected = read_scores(block, first)
    for rows in (run.rows()[::-1], run.rows()[:1], run.rows()):
        run.scores(run.block(rows))
    mend = "return a new array from every call, not one that is used again"
    require_same_scores(expected, read_scores(block, first), "after later calls", mend, 0.0)
    for array in (first.values, first.abstained):
        if array is not None and array.flags.writeable:
            array[...] = True
    again = run.scores(block)
    require_same_scores(expected, again, "after the caller wrote into what was returned", mend, 0.0)


def many_calls_score_the_same(case: RerankerCase) -> None:
    """Expect the same bits from the first call and from all of a hundred behind it."""
    run = case.start()
    row = min(run.rows(), key=lambda each: int(run.context.lists.mask[each].sum()))
    block = run.block([row])
    expected = run.scores(block)
    for call in range(2, CALLS + 1):
        require_same_scores(
            expected,
            run.scores(block),
            f"in call {call} of the same",
            "keep no count, no running mean and no generator of a call",
            0.0,
        )


def explaining_changes_no_scores(case: RerankerCase) -> None:
    """Expect the same bits before and after ``explain``."""
    run = case.start()
    expected = run.scores()
    tuple(run.scorer.explain(run.block(explain=True), run.state))
    mend = "let explain() read, and change nothing"
    require_same_scores(expected, run.scores(), "after explain()", mend, 0.0)


def nothing_is_kept_across_collections(case: RerankerCase) -> None:
    """Expect of a reranker that saw other collections what a new one says.

    The others hold the same items in other places, and other items under the same ids.
    """
    used = case.start()
    used.scores()
    for queries, gallery in _others(case):
        changes = {"queries": queries, "gallery": gallery}
        context = case.context(_fitted(case, gallery), **changes)
        require_same_scores(
            case.start(_fitted(case, gallery), **changes).scores(),
            Run.of(used.scorer, context).scores(),
            "by a reranker that scored other collections before",
            "keep nothing on self by row or id: name it by the collection's fingerprint()",
        )


def names_do_not_matter(case: RerankerCase) -> None:
    """Expect the same scores under other ids: their hash() differs from run to run."""
    usual = case.start()
    queries = case.queries.take(range(len(case.queries)), ids=_renamed(case.queries))
    gallery = case.gallery.take(range(len(case.gallery)), ids=_renamed(case.gallery))
    lists = case.lists()
    named = replace(lists, query_ids=queries.ids, candidate_ids=gallery.ids)
    try:
        found = case.start(named, queries=queries, gallery=gallery).scores()
    except CrossrankError:
        return  # it was given something by id, and says so
    expected = usual.scores()
    require(len(found) == len(expected), "it scores other pairs under other ids")
    known = (*case.queries.ids, *case.gallery.ids)
    back = dict(zip((*queries.ids, *gallery.ids), known, strict=True))
    require_same_scores(
        expected,
        {(back[query], back[candidate]): score for (query, candidate), score in found.items()},
        "under other ids",
        "neither an id nor its hash() may enter a score",
    )


def _renamed(collection: Collection) -> list[str]:
    return [f"renamed {id}" for id in collection.ids]


def _others(case: RerankerCase) -> list[tuple[Collection, Collection]]:
    def turned(side: Collection, ids: bool) -> Collection:
        rows = np.arange(len(side))[::-1]
        return side.take(rows) if ids else side.take(rows, ids=side.ids)

    return [
        (turned(case.queries, True), turned(case.gallery, True)),
        (case.queries, turned(case.gallery, False)),
        (turned(case.queries, False), case.gallery),
    ]


def _fitted(case: RerankerCase, gallery: Collection) -> Candidates:
    """Return the lists of the case, of the same candidates in the rows that they have now."""
    lists = case.lists()
    rows = np.asarray(gallery.rows(lists.candidate_ids), np.int64)
    return replace(lists, index=rows[lists.index], candidate_ids=gallery.ids)
