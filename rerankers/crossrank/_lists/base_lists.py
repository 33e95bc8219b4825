"""Columns of `Candidates` out of what base matchers give: matrices, runs, lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from crossrank._checking import check_count
from crossrank._items.arrays import has_members, to_numpy
from crossrank._items.ids import check_distinct
from crossrank._items.item import listed
from crossrank._lists.topk import top_k
from crossrank.errors import InputError, OrientationError, UnknownIdError, nearest

Columns: TypeAlias = tuple[
    NDArray[np.int64],
    NDArray[np.float64] | None,
    NDArray[np.bool_],
    tuple[str, ...],
    tuple[str, ...],
    str | None,
]
"""Index, scores, mask, query ids, candidate ids and direction: see `Candidates`."""


def similarity_columns(
    similarity: ArrayLike,
    direction: str | None,
    depth: int | None,
    image_ids: Sequence[Any] | None,
    text_ids: Sequence[Any] | None,
) -> Columns:
    """See `Candidates.from_similarity`."""
    matrix = numbers("from_similarity", "similarities", similarity, None)
    if matrix.dtype.kind not in "fiub":
        raise InputError(f"from_similarity: numbers are needed, got a matrix of {matrix.dtype}")
    if matrix.dtype.kind != "f":
        matrix = matrix.astype(np.float64)
    if matrix.ndim != 2:
        raise InputError(
            f"from_similarity: a matrix [n_images, n_texts] is needed, got shape {matrix.shape}"
        )
    if not isinstance(direction, str) or direction not in ("t2i", "i2t"):
        raise OrientationError(
            f"from_similarity: direction is {direction!r:.80}; say 't2i' (texts are the "
            "queries) or 'i2t' (images are), since the matrix [n_images, n_texts] serves both"
        )
    images = names_of(image_ids, matrix.shape[0])
    texts = names_of(text_ids, matrix.shape[1])
    if (len(images), len(texts)) != matrix.shape:
        mend = (
            "transpose it: images are the rows"
            if (len(texts), len(images)) == matrix.shape
            else "give one id per row and column"
        )
        raise OrientationError(
            f"from_similarity: the matrix is {matrix.shape} for {len(images)} images and "
            f"{len(texts)} texts; {mend}"
        )
    for side in (images, texts):
        check_distinct("from_similarity", side)
    if depth is not None:
        check_count("from_similarity", "depth", depth)
    scores = matrix.T if direction == "t2i" else matrix
    queries, gallery = (texts, images) if direction == "t2i" else (images, texts)
    wrong = ~np.isfinite(scores)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(
            f"from_similarity: the similarity of query {queries[row]!r} and candidate "
            f"{gallery[column]!r} is {scores[row, column]}; similarities must be finite"
        )
    count = scores.shape[1] if depth is None else min(depth, scores.shape[1])
    index = top_k(scores, count)
    taken = np.take_along_axis(scores, index, axis=1).astype(np.float64)
    return index, taken, np.ones(index.shape, bool), queries, gallery, direction


def run_columns(
    run: Mapping[str, Mapping[str, float | None]],
    query_ids: Sequence[str] | None,
    candidate_ids: Sequence[str] | None,
    direction: str | None,
) -> Columns:
    """See `Candidates.from_run`."""
    if not isinstance(run, Mapping):
        raise InputError(
            f"from_run: the run is {run!r:.60}; give {{query id: {{candidate id: score}}}}, or use "
            "from_trec for a file"
        )
    for query, members in run.items():
        if not isinstance(members, Mapping):
            raise InputError(
                f"from_run: query {query!r} has {members!r:.60}; give {{candidate id: score}}, or "
                "use from_lists"
            )
    lists = {query: list(members) for query, members in run.items()}
    values = [list(members.values()) for members in run.values()]
    absent = [score is None for members in values for score in members]
    if any(absent) and not all(absent):
        raise InputError("from_run: some scores are None and some are not; give all or none")
    scores = None if absent and all(absent) else dict(zip(run, values, strict=True))
    return list_columns(lists, scores, query_ids, candidate_ids, direction)


def list_columns(
    lists: Mapping[str, Iterable[Any]] | Sequence[Iterable[Any]],
    scores: Mapping[str, Iterable[Any]] | Sequence[Iterable[Any]] | None,
    query_ids: Sequence[Any] | None,
    candidate_ids: Sequence[Any] | None,
    direction: str | None,
) -> Columns:
    """See `Candidates.from_lists`."""
    members = _by_query(lists, query_ids)
    given = None if scores is None else _by_query(scores, query_ids)
    queries = tuple(members) if query_ids is None else names_of(query_ids, 0)
    _check_known(members, queries, "query")
    for query, own in members.items():
        if isinstance(own, str | bytes) or not isinstance(own, Iterable):
            raise InputError(
                f"from_lists: the candidates of query {query!r} are {own!r:.60}; give a list of ids"
            )
    rows = [[str(id) for id in members.get(query, ())] for query in queries]
    if candidate_ids is None:
        candidate_ids = tuple(dict.fromkeys(id for row in rows for id in row))
    gallery = names_of(candidate_ids, 0)
    position = {id: row for row, id in enumerate(gallery)}
    check_distinct("from_lists", gallery)
    index, mask = _padded(rows, position)
    if given is None:
        return index, None, mask, queries, gallery, direction
    values = np.zeros(index.shape, np.float64)
    for row, query in enumerate(queries):
        own_scores = listed("from_lists", f"scores of query {query!r}", given.get(query, ()))
        if len(own_scores) != len(rows[row]):
            raise InputError(
                f"from_lists: query {query!r} has {len(rows[row])} candidates and "
                f"{len(own_scores)} scores"
            )
        values[row, : len(own_scores)] = numbers(
            "from_lists", f"the scores of query {query!r}", own_scores
        )
    return index, values, mask, queries, gallery, direction


def numbers(who: str, what: str, given: Any, dtype: DTypeLike | None = np.float64) -> NDArray[Any]:
    """Return what was given as an array of numbers; from torch and others too."""
    try:
        return np.asarray(to_numpy(given), dtype)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{who}: {what} must be numbers in rows of one length: {error!s:.200}"
        ) from error


def _by_query(
    lists: Mapping[str, Iterable[Any]] | Sequence[Iterable[Any]], query_ids: Sequence[Any] | None
) -> dict[str, Iterable[Any]]:
    if isinstance(lists, Mapping):
        return {str(query): members for query, members in lists.items()}
    if isinstance(lists, str | bytes) or not has_members(lists):
        raise InputError(f"from_lists: {lists!r:.60} is no list; give one list of ids per query")
    own = list(lists)
    names = names_of(query_ids, len(own))
    if len(names) != len(own):
        raise InputError(f"from_lists: {len(names)} query ids for {len(own)} lists")
    return dict(zip(names, own, strict=True))


def _padded(
    rows: list[list[str]], position: Mapping[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    width = max((len(row) for row in rows), default=0)
    index = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), np.bool_)
    for number, row in enumerate(rows):
        _check_known(row, position, "candidate")
        index[number, : len(row)] = [position[id] for id in row]
        mask[number, : len(row)] = True
    return index, mask


def _check_known(ids: Iterable[str], known: Iterable[str], what: str) -> None:
    names = known if isinstance(known, Mapping) else set(known)
    for id in ids:
        if id not in names:
            raise UnknownIdError(
                f"the {what} id {id!r} is not among the given ones{nearest(id, list(names)[:1000])}"
            )


def names_of(ids: Sequence[Any] | None, count: int) -> tuple[str, ...]:
    """Return ids as str; ``"0"``, ``"1"``, … where there are none."""
    if ids is None:
        return tuple(map(str, range(count)))
    if not has_members(ids):
        raise InputError(f"Candidates: the ids are {ids!r:.60}; give a list of them")
    return tuple(map(str, ids))
