"""What an encoder returned stays as it was, and what it did leaves nothing behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crossrank._items.item import Item
from crossrank._items.ragged import Ragged
from crossrank.plugin._threads import LIMITS
from crossrank.testing._arrays import numbers_of
from crossrank.testing._differences import require_same_features
from crossrank.testing._encoder_case import EncoderCase

CALLS = 110
MANY = 70
"""Items of one batch, beyond the tiles of 64 that kernels like."""
THREADS = (1, 2)
ROUNDING = 1e-4
"""Threads add up in another order, and a deep network carries the difference through its layers."""


def features_are_the_callers_own(case: EncoderCase) -> None:
    """Expect features that no later batch changes, and that may be written to."""
    items = case.items()
    first = case.batch(items)
    expected = _rows(items, {name: _copied(each) for name, each in first.items()})
    for order in (slice(None), slice(1), slice(None, None, -1)):
        case.batch(case.items()[order])
    mend = "return new arrays from every call, not some that are used again"
    require_same_features(expected, _rows(items, first), "after later batches", mend, 0.0)
    for feature in first.values():
        array = numbers_of(feature)
        if array is not None and array.flags.writeable:
            array[...] = 0
    again = case.entries()
    require_same_features(expected, again, "after the caller wrote into the features", mend, 0.0)


def many_calls_give_the_same(case: EncoderCase) -> None:
    """Expect the same bits from the first call and from all of a hundred behind it."""
    expected = case.entries(case.items()[:1])
    for call in range(2, CALLS + 1):
        require_same_features(
            expected,
            case.entries(case.items()[:1]),
            f"in call {call} of the same",
            "keep no count, no running mean and no generator of a call",
            0.0,
        )


def names_do_not_matter(case: EncoderCase) -> None:
    """Expect the features of an item under other ids, and under those of other items."""
    expected, own = case.entries(), [str(item.id) for item in case.items()]
    for ids, when in (
        ([f"{id}, another" for id in own], "under another id"),
        (own[::-1], "under the id of another item"),
    ):
        items = case.items()
        found = case.entries([_named(item, id) for item, id in zip(items, ids, strict=True)])
        of_ids = dict(zip(ids, own, strict=True))
        require_same_features(
            expected,
            {of_ids[id]: features for id, features in found.items()},
            when,
            "an id is a name: keep nothing by it, and compute nothing from it or its hash()",
        )


def large_batches_give_the_same(case: EncoderCase) -> None:
    """Expect of many items in a batch, some of them equal, what each gives among few."""
    few, items = case.entries(case.items()[:2]), case.items()[:2]
    found = case.entries([_named(items[place % 2], str(place)) for place in range(MANY)])
    for place in range(MANY):
        require_same_features(
            {str(place): few[str(items[place % 2].id)]},
            {str(place): found[str(place)]},
            f"in a batch of {MANY}",
            "fill every tile, and give equal items the same",
        )


def threads_do_not_matter(case: EncoderCase) -> None:
    """Expect the same features for any number of threads, but for rounding."""
    expected = case.entries()
    for number in THREADS:
        with LIMITS.held_to(number):
            found = case.entries()
        mend = "how many threads compute may not enter a feature"
        require_same_features(expected, found, f"with threads={number}", mend, ROUNDING)


def _named(item: Item, id: str) -> Item:
    return Item(id, item.text, item.image, **item.features)


def _rows(items: Sequence[Item], made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        str(item.id): {name: feature[row] for name, feature in made.items()}
        for row, item in enumerate(items)
    }


def _copied(feature: Any) -> Any:
    if isinstance(feature, Ragged):
        return Ragged(np.array(feature.flat), np.array(feature.lengths))
    return np.array(feature) if isinstance(feature, np.ndarray) else list(feature)
