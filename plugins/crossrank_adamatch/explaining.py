"""What `AdaMatchReranker.explain` shows of a pair: links, keywords and key patches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossrank import Link
from crossrank.plugin.parts import Part, as_box, link
from crossrank_adamatch.hints import Floats, key_patches, keywords

Links = tuple[Link, ...]
MOST = 10
"""Keywords, and key patches, of a pair."""


def links_of(
    similarities: Floats, words: Sequence[Part], boxes: Floats, asks: bool, k: int
) -> tuple[Links, Links, Links]:
    """Return a link from each word to its best patch, then the keywords and the key patches.

    Parameters
    ----------
    similarities
        ``[L, P]``.
    words, boxes
        ``[L]`` and ``[P, 4]``.
    asks
        Whether the words are the query's.
    k
        See `crossrank_adamatch.hints`.
    """

    def between(word: int, patch: int, weight: float) -> Link:
        return link(words[word], Part(str(patch), as_box(boxes[patch])), weight, asks=asks)

    best = similarities.argmax(axis=1).tolist()
    every = tuple(
        between(word, patch, float(similarities[word, patch])) for word, patch in enumerate(best)
    )
    leading = keywords(similarities, [part.name for part in words], k)[:MOST]
    standing = key_patches(similarities, np.asarray(boxes), k)[:MOST]
    return (
        every,
        tuple(between(each.part, each.partner, each.points) for each in leading),
        tuple(between(each.partner, each.part, each.points) for each in standing),
    )
