"""The features of an item depend on this item alone."""

from __future__ import annotations

import numpy as np

from crossrank.testing._differences import require_same_features
from crossrank.testing._encoder_case import EncoderCase


def batch_size_does_not_matter(case: EncoderCase) -> None:
    """Expect the same features one at a time, by threes, and all at once."""
    together = case.entries()
    for size in (1, 3):
        require_same_features(
            together,
            case.entries(size=size),
            f"in batches of {size}",
            "which items share a batch must not matter: mask what is padded",
        )


def order_of_items_does_not_matter(case: EncoderCase) -> None:
    """Expect features to follow their items."""
    items = case.items()
    order = np.random.default_rng(2).permutation(len(items))
    require_same_features(
        case.entries(),
        case.entries([items[place] for place in order]),
        "with the items in another order",
        "return features in the order of the items",
    )


def other_features_do_not_matter(case: EncoderCase) -> None:
    """Expect the same of a feature whichever others are asked for."""
    expected = case.entries()
    for name in case.features:
        require_same_features(
            expected,
            case.entries(features=[name]),
            f"when only {name!r} is asked for",
            "compute a feature in one way only",
        )


def same_items_give_the_same_bits(case: EncoderCase) -> None:
    """Expect every bit again when a batch is encoded again."""
    require_same_features(
        case.entries(),
        case.entries(),
        "when the same batch is encoded again",
        "switch dropout off (model.eval()) and fix seeds",
        0.0,
    )
