"""Hard negatives in the columns of sentence-transformers, one mapping for each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from crossrank.errors import InputError, nearest
from crossrank.plugin.parameters import checked, one_of
from crossrank_mine.choosing import Mined, Negatives, Scored

Row = dict[str, Any]
Say = Callable[[str], Any]

FORMATS = ("triplet", "n-tuple", "labeled-pair", "labeled-list")


def rows(
    mined: Mined,
    format: str,
    query: Mapping[str, Any],
    candidate: Mapping[str, Any],
    *,
    count: int,
    scores: bool | None = None,
) -> Iterator[Row]:
    """Yield the rows of a file to train on.

    ======================  ====================================================================
    ``triplet``             anchor, positive, negative; scores of both
    ``n-tuple``             anchor, positive, negative_1 … negative_n; scores of positive and all
    ``labeled-pair``        anchor, positive (a document of either kind), label 1 or 0, or score
    ``labeled-list``        anchor, positive (a list of documents), labels, or scores
    ======================  ====================================================================

    These are the names that ``mine_hard_negatives`` gives them.

    Parameters
    ----------
    mined
        What `crossrank_mine.mine` chose.
    format
        One of `FORMATS`.
    query, candidate
        What stands in the columns, by id.
    count
        n of an n-tuple; a query with fewer negatives gives none.  In the other formats one is
        enough, and for ``labeled-pair``, where positives have rows of their own, none.
    scores
        Whether rows have scores; then a positive without one, outside its list, gives no row.  In
        the last two formats scores take the place of labels.  None for ``True`` in the first two
        formats and ``False`` in the others.

    Raises
    ------
    ParameterError
        If there is no such format.
    """
    checked("mine", "format", format, one_of(*FORMATS))
    scores = format in ("triplet", "n-tuple") if scores is None else scores
    for each in mined.queries:
        fewest = {"n-tuple": count, "labeled-pair": 0}.get(format, 1)
        if len(each.negatives) < fewest:
            continue
        positives = tuple(
            positive for positive in each.positives if not scores or positive.score is not None
        )
        if positives:
            kept = Negatives(each.query, positives, each.negatives)
            yield from _WRITERS[format](kept, _said(query), _said(candidate), scores)


def _said(of: Mapping[str, Any]) -> Say:
    def say(id: str) -> Any:
        if id not in of:
            raise InputError(f"mine: nothing is known of {id!r}{nearest(id, list(of)[:1000])}")
        return of[id]

    return say


def _triplets(each: Negatives, query: Say, candidate: Say, scores: bool) -> Iterator[Row]:
    for positive in each.positives:
        for negative in each.negatives:
            row = {
                "anchor": query(each.query),
                "positive": candidate(positive.id),
                "negative": candidate(negative.id),
            }
            yield row | _scores(scores, positive, negative)


def _tuples(each: Negatives, query: Say, candidate: Say, scores: bool) -> Iterator[Row]:
    for positive in each.positives:
        row = {"anchor": query(each.query), "positive": candidate(positive.id)}
        for number, negative in enumerate(each.negatives, 1):
            row[f"negative_{number}"] = candidate(negative.id)
        yield row | _scores(scores, positive, *each.negatives)


def _pairs(each: Negatives, query: Say, candidate: Say, scores: bool) -> Iterator[Row]:
    for label, members in ((1, each.positives), (0, each.negatives)):
        for member in members:
            row = {"anchor": query(each.query), "positive": candidate(member.id)}
            yield row | ({"score": member.score} if scores else {"label": label})


def _lists(each: Negatives, query: Say, candidate: Say, scores: bool) -> Iterator[Row]:
    for positive in each.positives:
        members = (positive, *each.negatives)
        row = {
            "anchor": query(each.query),
            "positive": [candidate(member.id) for member in members],
        }
        labels = {"labels": [1] + [0] * len(each.negatives)}
        yield row | (_scores(True, *members) if scores else labels)


def _scores(wanted: bool, *members: Scored) -> Row:
    return {"scores": [member.score for member in members]} if wanted else {}


_WRITERS: Mapping[str, Callable[[Negatives, Say, Say, bool], Iterator[Row]]] = {
    "triplet": _triplets,
    "n-tuple": _tuples,
    "labeled-pair": _pairs,
    "labeled-list": _lists,
}


__all__ = ["FORMATS", "rows"]
