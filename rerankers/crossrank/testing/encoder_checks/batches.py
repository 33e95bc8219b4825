"""The features of an item depend on this item alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossrank.testing.differences import TOLERANCE, require_same_features
from crossrank.testing.encoder_case import EncoderCase, Entry

ALONE = "which items share a batch must not matter: mask padding, and fix the padded size"


def batch_size_does_not_matter(case: EncoderCase) -> None:
    """Expect the same features one at a time, by threes, and all at once."""
    together = case.entries()
    for size in (1, 3):
        _require_same(together, case.entries(size=size), f"in batches of {size}", ALONE)


def order_of_items_does_not_matter(case: EncoderCase) -> None:
    """Expect features to follow their items."""
    items = case.items()
    order = np.random.default_rng(2).permutation(len(items))
    mixed = case.entries([items[place] for place in order])
    expected = case.entries(items)
    _require_same(
        [expected[place] for place in order],
        mixed,
        "with the items in another order",
        "return features in the order of the items",
    )


def other_features_do_not_matter(case: EncoderCase) -> None:
    """Expect the same of a feature whichever others are asked for."""
    expected = case.entries()
    for name in case.features:
        _require_same(
            expected,
            case.entries(features=[name]),
            f"when only {name!r} is asked for",
            "compute a feature in one way only",
        )


def same_items_give_the_same_bits(case: EncoderCase) -> None:
    """Expect every bit again when a batch is encoded again."""
    _require_same(
        case.entries(),
        case.entries(),
        "when the same batch is encoded again",
        "switch dropout off (model.eval()) and fix seeds",
        0.0,
    )


def _require_same(
    expected: Sequence[Entry],
    found: Sequence[Entry],
    when: str,
    mend: str,
    tolerance: float = TOLERANCE,
) -> None:
    for before, now in zip(expected, found, strict=True):
        require_same_features(before, now, when, mend, tolerance)


CHECKS = (
    batch_size_does_not_matter,
    order_of_items_does_not_matter,
    other_features_do_not_matter,
    same_items_give_the_same_bits,
)
