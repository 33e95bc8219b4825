"""Candidate lists as rows: of the distinct items among loose ones, or of a stored gallery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._items.collection import Collection
from crossrank._items.item import Item, ItemLike, as_item
from crossrank._lists.candidates import Candidates
from crossrank._lists.rankings import Rankings
from crossrank.errors import DuplicateIdError, InputError, UnknownIdError, nearest


def check_list(values: Any, what: str = "candidates") -> None:
    """Refuse what is no list of candidates (or queries, or ids), but would be taken for one.

    Raises
    ------
    InputError
        For one text, a mapping, a table, or anything that has no members.
    """
    if isinstance(values, str | bytes):
        raise InputError(f"rerank: the {what} are one text, {values[:40]!r}; give a list of {what}")
    if isinstance(values, Mapping) or hasattr(values, "columns"):
        raise InputError(
            f"rerank: the {what} are a {type(values).__name__}, of which the keys would be "
            "ranked; give a list: list(found.values()), or list(frame['text']) of a table"
        )
    if not isinstance(values, Iterable):
        raise InputError(f"rerank: the {what} are {values!r:.60}; give a list of {what}")


@dataclass(frozen=True, slots=True)
class Lists:
    """Candidate lists of some queries.

    Parameters
    ----------
    rows
        Per query the rows of its candidates, as the caller ordered them.
    ids
        The names of the rows.
    items
        What the rows are; empty where they are those of a stored gallery.
    """

    rows: Sequence[Sequence[int]]
    ids: Sequence[str]
    items: Sequence[Item] = ()


def loose_lists(lists: Sequence[Sequence[ItemLike]], query_ids: Sequence[str]) -> Lists:
    """Return lists of loose items, each distinct one a row.

    An item without an id is called by its place, with several queries by query and place.

    Raises
    ------
    InputError
        For what is no list, or no item.
    DuplicateIdError
        If two different items share an id.
    """
    check_count(len(query_ids), lists, "lists")
    for values in lists:
        check_list(values)
    several = len(query_ids) > 1
    distinct: dict[str, Item] = {}
    names = []
    for query, values in zip(query_ids, lists, strict=True):
        own = []
        for place, value in enumerate(values):
            item = as_item(value)
            if item.id is None:
                id = f"{query}/{place}" if several else str(place)
                item = Item(id, item.text, item.image, **item.features)
            own.append(str(item.id))
            other = distinct.setdefault(own[-1], item)
            if (other.text, other.image) != (item.text, item.image):
                raise DuplicateIdError(f"rerank: two different candidates have the id {item.id!r}")
        names.append(own)
    position = {id: row for row, id in enumerate(distinct)}
    rows = [[position[id] for id in own] for own in names]
    return Lists(rows, tuple(distinct), tuple(distinct.values()))


def stored_lists(gallery: Collection, ids: Sequence[Any] | None, query_ids: Sequence[str]) -> Lists:
    """Return lists of a stored gallery: the rows that `ids` name, or all of it for every query.

    Raises
    ------
    InputError, UnknownIdError
        See `rows_of`.
    """
    if ids is None:
        return Lists([range(len(gallery))] * len(query_ids), gallery.ids)
    check_list(ids, "ids")
    check_count(len(query_ids), ids, "lists of ids")
    rows = [rows_of(gallery, own, query) for own, query in zip(ids, query_ids, strict=True)]
    return Lists(rows, gallery.ids)


def rows_of(gallery: Collection, ids: Any, query: str) -> list[int]:
    """Return the rows of a gallery that ids, or numbers of rows, name.

    Parameters
    ----------
    gallery
        Where they are.
    ids
        str (or `Path`) for an id, int for a row.
    query
        For whom, in messages.

    Raises
    ------
    InputError
        For anything that is neither id nor row.
    UnknownIdError
        Naming what is not in the gallery.
    """
    check_list(ids, "ids")
    rows, unknown = [], []
    for id in ids:
        if isinstance(id, bool | np.bool_) or not isinstance(id, str | Path | int | np.integer):
            raise InputError(
                f"rerank: the ids of query {query!r} hold {id!r:.60}; an id is a str, and a row of "
                "the gallery a whole number"
            )
        if isinstance(id, str | Path):
            try:
                rows.append(gallery.row(str(id)))
            except UnknownIdError:
                unknown.append(str(id))
        elif 0 <= id < len(gallery):
            rows.append(int(id))
        else:
            raise UnknownIdError(
                f"rerank: query {query!r} asks for row {id}, but the gallery has {len(gallery)} "
                f"rows{'; leave out the places that a search left empty' if id < 0 else ''}"
            )
    if unknown:
        named = ", ".join(map(repr, unknown[:3]))
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise UnknownIdError(
            f"rerank: the gallery of {len(gallery)} {gallery.modality}s has no {named}{more}, "
            f"which query {query!r} asks for{nearest(unknown[0], gallery.ids[:1000])}"
        )
    return rows


def check_count(queries: int, lists: Sequence[Any] | None, what: str) -> None:
    """Refuse another number of lists than of queries.

    Raises
    ------
    InputError
        With both numbers.
    """
    if lists is not None and len(lists) != queries:
        raise InputError(f"rerank: {queries} queries, but {len(lists)} {what}")


def candidates_of(
    lists: Lists, scores: Sequence[Any] | None, query_ids: Sequence[str]
) -> Candidates:
    """Return lists as candidates; unlike in a run, a list may name one twice.

    Raises
    ------
    InputError
        If there is not one finite score per candidate.
    """
    check_count(len(query_ids), scores, "lists of scores")
    rows = lists.rows
    shape = len(rows), max(map(len, rows), default=0)
    index, mask = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    values = None if scores is None else np.zeros(shape)
    for number, own in enumerate(rows):
        index[number, : len(own)] = own
        mask[number, : len(own)] = True
        if values is not None and scores is not None:
            values[number, : len(own)] = _scores(scores[number], len(own), query_ids[number])
    return Candidates(index, values, mask, tuple(query_ids), tuple(lists.ids), repeats=True)


def with_places(rankings: Rankings, candidates: Candidates) -> Rankings:
    """Return rankings whose hits know their places in the lists that the caller gave."""
    order = candidates.base_order()
    places = np.take_along_axis(order, np.maximum(rankings.base_ranks - 1, 0), axis=1)
    return replace(rankings, places=np.where(rankings.mask, places, 0))


def _scores(given: Any, count: int, query: str) -> NDArray[np.float64]:
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"rerank: the base scores of query {query!r} must be numbers: {error}"
        ) from error
    if values.ndim != 1 or len(values) != count:
        raise InputError(f"rerank: query {query!r} has {count} candidates and {values.size} scores")
    return values
