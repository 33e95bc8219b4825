"""Keywords of a picture and key patches of a text: who is asked for most often, and first.

The hints that AdaMatch-Cyclic (ACL 2024) gives a language model, from similarities alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import InputError

_WORDS = """
    a an the and or but of in on at by to for with from into onto over under up down out off is
    are was were be been being am it its this that these those he she they him her them his
    their i you we as while who which what where there here not no has have had do does did s t
"""
FUNCTION_WORDS = frozenset(_WORDS.split())
"""English words that name nothing."""

SAME_PLACE = 0.5
"""Boxes whose intersection is at least this part of their union are one place."""

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What others ask for: a word that patches ask for, or a patch that words ask for.

    Parameters
    ----------
    part
        Its number; of several equal words the one with the best partner.
    points
        The sum of ``k - r`` over all that ask for it, r being its rank with each, from 0.
    times
        How many ask for it.
    partner
        The number of the one that it fits best.
    similarity
        With that one.
    """

    part: int
    points: int
    times: int
    partner: int
    similarity: float


def names_something(word: str) -> bool:
    """Return whether a word may be a keyword: no punctuation, and no function word."""
    plain = word.casefold().removesuffix("</w>").strip("▁ġ#' ")
    return any(letter.isalnum() for letter in plain) and plain not in FUNCTION_WORDS


def keywords(
    similarities: Floats,
    words: Sequence[str],
    k: int = 3,
    counts: Callable[[str], bool] = names_something,
) -> list[Asked]:
    """Rank the words that the patches of a picture ask for.

    Each patch asks for its k best words, the r-th of which gets ``k - r`` points.  Words that are
    equal but for capitals are one word.

    Parameters
    ----------
    similarities
        ``[L, P]`` of words and patches; the words may be those of several texts.
    words
        ``[L]`` what each says.
    k
        How many words a patch asks for.
    counts
        Whether a word may be asked for.

    Returns
    -------
    list of Asked
        Those that were asked for, most points first, then those most often asked for, then by
        similarity.

    Raises
    ------
    InputError
        If there are not as many words as rows, or k is not positive.
    """
    table = _table(similarities, k)
    if len(words) != len(table):
        raise InputError(f"keywords: {len(words)} words for {len(table)} rows; give one for each")
    chosen = np.array([row for row, word in enumerate(words) if counts(word)], np.int64)
    if not len(chosen):
        return []
    groups: dict[str, list[Asked]] = {}
    for each in _asked(table[chosen].T, k):
        part = int(chosen[each.part])
        found = Asked(part, each.points, each.times, each.partner, each.similarity)
        groups.setdefault(words[part].casefold(), []).append(found)
    return _sorted([_joined(group) for group in groups.values()])


def key_patches(similarities: Floats, boxes: Floats | None = None, k: int = 3) -> list[Asked]:
    """Rank the patches that the words of a text ask for, as `keywords` ranks words.

    Parameters
    ----------
    similarities
        ``[L, P]`` of words and patches.
    boxes
        ``[P, 4]``: of patches in one place, the first stands for all, and takes their points.
    k
        How many patches a word asks for.

    Raises
    ------
    InputError
        If there are not as many boxes as columns, or k is not positive.
    """
    table = _table(similarities, k)
    if boxes is not None and len(boxes) != table.shape[1]:
        raise InputError(
            f"key_patches: {len(boxes)} boxes for {table.shape[1]} columns; give one for each"
        )
    ranked = _sorted(_asked(table, k))
    if boxes is None or not ranked:
        return ranked
    own = boxes[[each.part for each in ranked]]
    near = overlaps(own, own)
    taken = np.zeros(len(ranked), np.bool_)
    places = []
    for at in range(len(ranked)):
        if not taken[at]:
            group = np.flatnonzero(~taken & (near[at] >= SAME_PLACE)).tolist()
            taken[group] = True
            points = sum(ranked[each].points for each in {at, *group})
            times = sum(ranked[each].times for each in {at, *group})
            first = ranked[at]
            places.append(Asked(first.part, points, times, first.partner, first.similarity))
    return _sorted(places)


def overlaps(boxes: Floats, others: Floats) -> Floats:
    """Return ``[N, M]``: the intersections over the unions of boxes ``[N, 4]`` and ``[M, 4]``.

    Boxes are ``x0, y0, x1, y1``; where neither of two has an area, it is 0.
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2, dtype=np.float64)
    areas, of_others = (
        np.prod(each[:, 2:] - each[:, :2], axis=1, dtype=np.float64) for each in (boxes, others)
    )
    union = areas[:, None] + of_others - shared
    shares: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return shares


def _asked(table: Floats, k: int) -> list[Asked]:
    """Return for each column of ``[askers, parts]`` that is among some row's k best what it got."""
    k = min(k, table.shape[1])
    order = np.argsort(-table, axis=1, kind="stable")[:, :k]
    points = np.bincount(order.ravel(), np.tile(np.arange(k, 0, -1), len(table)), table.shape[1])
    times = np.bincount(order.ravel(), minlength=table.shape[1])
    best = table.argmax(axis=0)
    return [
        Asked(
            part,
            int(points[part]),
            int(times[part]),
            int(best[part]),
            float(table[best[part], part]),
        )
        for part in np.flatnonzero(times).tolist()
    ]


def _joined(group: Sequence[Asked]) -> Asked:
    """Return equal words as one."""
    best = max(group, key=lambda each: each.similarity)
    points, times = sum(each.points for each in group), sum(each.times for each in group)
    return Asked(best.part, points, times, best.partner, best.similarity)


def _sorted(asked: Sequence[Asked]) -> list[Asked]:
    return sorted(asked, key=lambda each: (-each.points, -each.times, -each.similarity, each.part))


def _table(similarities: Floats, k: int) -> Floats:
    table = np.asarray(similarities)
    if table.ndim != 2 or 0 in table.shape or k < 1:
        raise InputError(
            f"keywords: the similarities are {table.shape} and k is {k}; give [words, patches], at "
            "least one of each, and k of at least 1"
        )
    return table
