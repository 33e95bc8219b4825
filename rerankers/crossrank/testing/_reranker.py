"""The conformance kit for rerankers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from crossrank._items.collection import Collection
from crossrank._lists.candidates import LETTERS
from crossrank.errors import InputError
from crossrank.plugin.contract import Reranker, RerankerInfo
from crossrank.testing._case import RerankerCase
from crossrank.testing._check import Check, checks_in
from crossrank.testing._data import make_collection
from crossrank.testing._identity import OF_BOTH
from crossrank.testing._reranker_checks import (
    determinism,
    evidence,
    identity,
    independence,
    inputs,
    lasting,
    lists,
    refusals,
    scores,
    sizes,
    state,
    storage,
    threads,
)
from crossrank.testing._snapshots import writable

MOST_QUERIES = 6
MOST_CANDIDATES = 12
MODALITIES = {short: modality for modality, short in LETTERS.items()}

RerankerCheck: TypeAlias = Callable[[RerankerCase], None]
PER_DIRECTION: tuple[RerankerCheck, ...] = checks_in(
    *(scores, lists, independence, sizes, determinism, threads),
    *(inputs, lasting, state, storage, evidence, refusals),
)
Sides: TypeAlias = Mapping[str, tuple[Collection, Collection]]
"""Per direction queries and gallery."""


def check_reranker(
    reranker: type[Reranker],
    /,
    *,
    queries: Collection | None = None,
    gallery: Collection | None = None,
    **params: Any,
) -> list[Check]:
    """Return one callable per promise that a reranker makes by being one.

    Parameters
    ----------
    reranker
        The class; it need not be installed or registered.
    queries, gallery
        Collections to try it on, where it reads features beyond the standard ones or of certain
        sizes: their first 6 queries and 12 candidates are used, in the direction they make.  By
        default synthetic ones (`crossrank.testing.make_collection`), in every direction that
        ``info.directions`` names, or in both where it names none.
    **params
        The parameters to build it with.

    Returns
    -------
    list of Check
        Each is called without arguments and raises AssertionError with a message that says what is
        broken and how to mend it.

    Raises
    ------
    InputError
        If only one of `queries` and `gallery` is given, or fewer than three items of one.

    Examples
    --------
    >>> import pytest
    >>> @pytest.mark.parametrize("check", check_reranker(Mine, weight=0.5))
    ... def test_mine(check):
    ...     check()
    ... # doctest: +SKIP
    """
    subject = getattr(reranker, "__name__", repr(reranker))
    sides = _given_sides(queries, gallery) or _synthetic_sides(reranker)

    def bound(check: RerankerCheck, direction: str) -> Callable[[], None]:
        # every check has copies of its own, so that none can spoil another
        return lambda: check(
            RerankerCase(reranker, params, direction, *map(writable, sides[direction]))
        )

    first = next(iter(sides))
    once = (*OF_BOTH, *checks_in(identity))
    made = [Check(subject, each.__name__, bound(each, first)) for each in once]
    for direction in sides:
        who = f"{subject} ({direction})"
        made += [
            Check(who, f"{each.__name__}-{direction}", bound(each, direction))
            for each in _per_direction(reranker)
        ]
    return made


def _per_direction(reranker: Any) -> tuple[RerankerCheck, ...]:
    info = getattr(reranker, "info", None)
    left_out: list[RerankerCheck] = []
    if getattr(info, "transductive", False):
        left_out += [*independence.UNLESS_TRANSDUCTIVE, *sizes.UNLESS_TRANSDUCTIVE]
    if not getattr(info, "thread_safe", True):
        left_out += checks_in(threads)
    return tuple(each for each in PER_DIRECTION if each not in left_out)


def _given_sides(queries: Collection | None, gallery: Collection | None) -> Sides:
    if queries is None and gallery is None:
        return {}
    if queries is None or gallery is None:
        raise InputError("check_reranker: give both queries= and gallery=, or neither")
    if len(queries) < 3 or len(gallery) < 3:
        raise InputError("check_reranker: give at least three queries and three candidates")
    direction = f"{LETTERS[queries.modality]}2{LETTERS[gallery.modality]}"
    return {direction: (_first(queries, MOST_QUERIES), _first(gallery, MOST_CANDIDATES))}


def _first(collection: Collection, most: int) -> Collection:
    return collection.take(range(min(most, len(collection))))


def _synthetic_sides(reranker: Any) -> Sides:
    def made(direction: str) -> tuple[Collection, Collection]:
        asked, _, listed = direction.partition("2")
        return (
            make_collection(MODALITIES[asked], MOST_QUERIES),
            make_collection(MODALITIES[listed], MOST_CANDIDATES, seed=1),
        )

    info = getattr(reranker, "info", None)
    declared: Any = info.directions if isinstance(info, RerankerInfo) else ()
    known = {f"{asked}2{listed}" for asked in MODALITIES for listed in MODALITIES}
    usable = [each for each in declared if each in known] if isinstance(declared, tuple) else []
    return {direction: made(direction) for direction in usable or ("t2i", "i2t")}
