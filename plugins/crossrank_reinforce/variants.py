"""Variants of texts: given ones, or made by a callable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from crossrank.errors import InputError
from crossrank_reinforce.augmentation import seed_of

Given: TypeAlias = Mapping[str, Sequence[str]]
"""Text id → its further wordings."""
Making: TypeAlias = Callable[[str, int], str]
"""A text and a seed in, another wording out, the same for the same seed."""

DROPPED = 0.2


def without_words(text: str, seed: int) -> str:
    """Return a text without about a fifth of its words, drawn by a seed; one is always left."""
    words = text.split()
    rng = np.random.default_rng(seed)
    kept = rng.random(len(words)) >= DROPPED
    if not kept.any():
        kept[int(rng.integers(len(words)))] = True
    return " ".join(word for word, keep in zip(words, kept, strict=True) if keep)


def variants_of(
    texts: Sequence[tuple[str, str]], count: int, given: Given | None, make: Making, seed: int
) -> list[list[str]]:
    """Return ``count`` wordings of every text, itself first.

    Parameters
    ----------
    texts
        Ids and texts.
    count
        m, itself included.
    given
        Further wordings that somebody wrote; ``count - 1`` of each text are needed.
    make
        Makes them otherwise.
    seed
        Of the whole store.

    Raises
    ------
    InputError
        Naming a text for which too few are given, or of which nothing was made.
    """
    found = []
    for id, text in texts:
        if given is not None:
            own = list(given.get(id, ()))
            if len(own) < count - 1:
                raise InputError(
                    f"reinforce: the text {id!r} has {len(own)} variants, {count - 1} are needed "
                    f"beside itself; give more, or variants={len(own) + 1}"
                )
            more = own[: count - 1]
        else:
            more = [make(text, seed_of(seed, id, number)) for number in range(1, count)]
        for each in more:
            if not isinstance(each, str) or not each.strip():
                raise InputError(f"reinforce: a variant of the text {id!r} is {each!r}, no text")
        found.append([text, *more])
    return found
