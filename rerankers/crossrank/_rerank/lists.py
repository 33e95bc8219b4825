"""Candidate lists as rows: of the distinct items among loose ones, or of a stored gallery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._items.arrays import has_members
from crossrank._items.collection import Collection
from crossrank._items.item import Item, ItemLike, as_item, listed
from crossrank._lists.candidates import Candidates
from crossrank.errors import DuplicateIdError, ImageError, InputError, UnknownIdError, nearest

POLICIES = ("raise", "keep", "drop")
"""What to do with a candidate that cannot be scored; see `crossrank.rerank`."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A candidate that cannot be scored.

    Parameters
    ----------
    place
        In the list that the caller gave.
    id
        What it would be called.
    reason
        What is wrong with it.
    """

    place: int
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lists:
    """Candidate lists of some queries.

    Parameters
    ----------
    rows
        Per query the rows of its candidates, as the caller ordered them.
    places
        Per query where in the caller's list these stand.
    left_out
        Per query the candidates that are in no row.
    ids
        The names of the rows.
    items
        What the rows are; empty where they are those of a stored gallery.
    """

    rows: Sequence[Sequence[int]]
    places: Sequence[Sequence[int]]
    left_out: Sequence[Sequence[LeftOut]]
    ids: Sequence[str]
    items: Sequence[Item] = ()

    def without(self, wrong: Mapping[int, str]) -> Lists:
        """Return the lists of items without some rows, given with what is wrong with them."""
        if not wrong:
            return self
        kept = [row for row in range(len(self.ids)) if row not in wrong]
        moved = {row: number for number, row in enumerate(kept)}
        rows, places, left_out = [], [], []
        for query, own in enumerate(self.rows):
            pairs = list(zip(own, self.places[query], strict=True))
            rows.append([moved[row] for row, _ in pairs if row not in wrong])
            places.append([place for row, place in pairs if row not in wrong])
            more = [LeftOut(at, self.ids[row], wrong[row]) for row, at in pairs if row in wrong]
            left_out.append(sorted([*self.left_out[query], *more], key=lambda each: each.place))
        ids = [self.ids[row] for row in kept]
        return Lists(rows, places, left_out, ids, [self.items[row] for row in kept])


def loose_lists(
    lists: Sequence[Sequence[ItemLike]],
    query_ids: Sequence[str],
    modality: str | None = None,
    on_item: str = "raise",
) -> Lists:
    """Return lists of loose items, each distinct one a row.

    An item without an id is called by its place, with several queries by query and place.

    Parameters
    ----------
    lists, query_ids
        One list per query.
    modality
        Of the candidates, see `as_item`.
    on_item
        Whether what cannot be ranked is an error.

    Raises
    ------
    InputError, ImageError
        For what is no list, or no item.
    DuplicateIdError
        If two different items share an id.
    """
    check_count(len(query_ids), lists, "lists")
    given = [listed("rerank", "candidates", values) for values in lists]
    if all(isinstance(value, Path) for values in given for value in values):
        return _of_files(given)
    several = len(query_ids) > 1
    items: dict[str, Item] = {}
    position: dict[str, int] = {}
    rows: list[list[int]] = []
    places: list[list[int]] = []
    left_out: list[list[LeftOut]] = []
    for query, values in zip(query_ids, given, strict=True):
        rows.append([])
        places.append([])
        left_out.append([])
        for place, value in enumerate(values):
            if isinstance(value, Path):
                item, id = None, str(value)
            else:
                name = f"{query}/{place}" if several else str(place)
                try:
                    item = _named(as_item(value, modality), name)
                except (InputError, ImageError) as error:
                    if on_item == "raise":
                        raise
                    left_out[-1].append(LeftOut(place, name, str(error)))
                    continue
                id = str(item.id)
            row = position.get(id)
            if row is None:
                row = position[id] = len(position)
                items[id] = Item.of_file(value) if item is None else item
            elif not _is(items[id], value if item is None else item):
                raise DuplicateIdError(f"rerank: two different candidates have the id {id!r}")
            rows[-1].append(row)
            places[-1].append(place)
    made = Lists(rows, places, left_out, list(items), list(items.values()))
    return made if on_item == "raise" else made.without(_mixed(made.items))


def _of_files(lists: Sequence[Sequence[Path]]) -> Lists:
    """Return lists of files, the most common case, in which nothing can be left out."""
    names = [list(map(str, own)) for own in lists]  # which takes longer than all that follows
    files = dict(zip(chain(*names), chain(*lists), strict=True))
    position = {name: row for row, name in enumerate(files)}
    rows = [list(map(position.__getitem__, own)) for own in names]
    places = [range(len(own)) for own in lists]
    items = [Item.of_file(path) for path in files.values()]
    return Lists(rows, places, [()] * len(lists), list(files), items)


def stored_lists(
    gallery: Collection, ids: Any, query_ids: Sequence[str], on_item: str = "raise"
) -> Lists:
    """Return lists of a stored gallery: the rows that `ids` name, or all of it for every query.

    Parameters
    ----------
    gallery, query_ids
        Where the candidates are, and whose.
    ids
        One list per query of str (or `Path`) for ids, int for rows; None for everything.
    on_item
        Whether what is not in the gallery is an error.

    Raises
    ------
    InputError
        For anything that is neither id nor row.
    UnknownIdError
        Naming what is not in the gallery.
    """
    if ids is None:
        everything = [range(len(gallery))] * len(query_ids)
        return Lists(everything, everything, [()] * len(query_ids), gallery.ids)
    lists = listed("rerank", "ids", ids)
    check_count(len(query_ids), lists, "lists of ids")
    rows: list[Sequence[int]] = []
    places: list[Sequence[int]] = []
    left_out: list[list[LeftOut]] = []
    for own, query in zip(lists, query_ids, strict=True):
        members = listed("rerank", "ids", own)
        known = _known_rows(gallery, members)
        if known is not None:
            rows.append(known)
            places.append(range(len(known)))
            left_out.append([])
            continue
        found = [_row(gallery, id, query) for id in members]
        wrong = [LeftOut(p, *row) for p, row in enumerate(found) if isinstance(row, tuple)]
        if wrong and on_item == "raise":
            raise UnknownIdError(_unknown(gallery, wrong, query))
        rows.append([row for row in found if isinstance(row, int)])
        places.append([place for place, row in enumerate(found) if isinstance(row, int)])
        left_out.append(wrong)
    return Lists(rows, places, left_out, gallery.ids)


def candidates_of(
    lists: Lists, scores: Sequence[NDArray[np.float64]] | None, query_ids: Sequence[str]
) -> Candidates:
    """Return lists as candidates; unlike in a run, a list may name one twice.

    Parameters
    ----------
    lists, query_ids
        Of the candidates that are scored.
    scores
        Per query those of the list that the caller gave; see `base_scores_of`.
    """
    shape = len(lists.rows), max(map(len, lists.rows), default=0)
    index, mask = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    values = None if scores is None else np.zeros(shape)
    for number, own in enumerate(lists.rows):
        index[number, : len(own)] = own
        mask[number, : len(own)] = True
        if values is not None and scores is not None:
            values[number, : len(own)] = scores[number][np.asarray(lists.places[number], np.int64)]
    return Candidates(index, values, mask, tuple(query_ids), tuple(lists.ids), repeats=True)


def base_scores_of(
    given: Any, lists: Lists, query_ids: Sequence[str]
) -> list[NDArray[np.float64]] | None:
    """Return one base score for each member of the lists that the caller gave.

    Raises
    ------
    InputError
        If they are not as many, or no numbers.
    """
    if given is None:
        return None
    if isinstance(given, Mapping) or not has_members(given):
        raise InputError(
            f"rerank: the base scores are a {type(given).__name__}; give one list per query, in "
            "the order of the queries"
        )
    scores = []
    given = list(given)
    check_count(len(query_ids), given, "lists of scores")
    for number, (query, own) in enumerate(zip(query_ids, given, strict=True)):
        count = len(lists.places[number]) + len(lists.left_out[number])
        try:
            values = np.asarray(own if hasattr(own, "dtype") else list(own), np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"rerank: the base scores of query {query!r} must be numbers: {error}"
            ) from error
        if values.ndim != 1 or len(values) != count:
            raise InputError(
                f"rerank: query {query!r} has {count} candidates and {values.size} scores"
            )
        wrong = ~np.isfinite(values)
        if wrong.any():
            place = int(np.argmax(wrong))
            raise InputError(
                f"rerank: the base score of query {query!r} at place {place} is {values[place]}; "
                "scores must be finite (leave the candidate out)"
            )
        scores.append(values)
    return scores


def check_count(queries: int, lists: Sequence[Any] | None, what: str) -> None:
    """Refuse another number of lists than of queries.

    Raises
    ------
    InputError
        With both numbers.
    """
    if lists is not None and len(lists) != queries:
        raise InputError(f"rerank: {queries} queries, but {len(lists)} {what}")


def _is(item: Item, value: Item | Path) -> bool:
    """Tell whether a candidate is what another of the same id is."""
    text, image = (None, value) if isinstance(value, Path) else (value.text, value.image)
    return item.text == text and (item.image is image or item.image == image)


def _named(item: Item, name: str) -> Item:
    return item if item.id is not None else Item(name, item.text, item.image, **item.features)


def _mixed(items: Sequence[Item]) -> dict[int, str]:
    """Return by row what is wrong with items of another kind than most of them."""
    kinds = {row: item.modality or "image" for row, item in enumerate(items)}
    if not kinds:
        return {}
    most = Counter(kinds.values()).most_common(1)[0][0]
    return {
        row: f"a candidate of {kind} among those of {most}"
        for row, kind in kinds.items()
        if kind != most
    }


def _known_rows(gallery: Collection, ids: list[Any]) -> list[int] | None:
    """Return the rows of ids that are all texts and there; None where one must look closer."""
    if not all(type(id) is str for id in ids):
        return None
    rows = gallery.rows(ids)
    return None if -1 in rows else rows


def _row(gallery: Collection, id: Any, query: str) -> int | tuple[str, str]:
    """Return the row of an id or number; what is wrong with it where there is none."""
    if isinstance(id, bool | np.bool_) or not isinstance(id, str | Path | int | np.integer):
        raise InputError(
            f"rerank: the ids of query {query!r} hold {id!r:.60}; an id is a str, and a row of "
            "the gallery a whole number"
        )
    if not isinstance(id, str | Path):
        if 0 <= id < len(gallery):
            return int(id)
        hint = " (-1 is a place that a search left empty)" if id < 0 else ""
        return str(id), f"the gallery has {len(gallery)} rows and no row {id}{hint}"
    try:
        return gallery.row(str(id))
    except UnknownIdError:
        return str(id), f"the gallery has no {gallery.modality} with the id {str(id)!r}"


def _unknown(gallery: Collection, wrong: Sequence[LeftOut], query: str) -> str:
    reason = wrong[0].reason
    if len(wrong) > 1:
        named = ", ".join(repr(each.id) for each in wrong[:3])
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        reason = f"the gallery of {len(gallery)} {gallery.modality}s has no {named}{more}"
    return (
        f"rerank: {reason}, which query {query!r} asks for"
        f"{nearest(wrong[0].id, gallery.ids[:1000])}"
    )
