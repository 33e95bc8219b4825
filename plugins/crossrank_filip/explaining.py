"""What `FilipReranker.explain` shows of one pair: for each word its best patch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import crossrank as cr
from crossrank.plugin.parts import Part, link, own_tokens, parts_of
from crossrank_filip.kernel import Floats


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one item and what to call them.

    Parameters
    ----------
    vectors
        ``[L, D]``.
    parts
        ``[L]`` names and boxes.
    """

    vectors: Floats
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, collection: cr.Collection, row: int) -> Tokens:
        """Read one item, without the tokens of a model's prompt: they count in scores alone."""
        vectors = np.asarray(collection["tokens"][row], np.float32)
        parts = parts_of(collection, row, len(vectors))
        own = own_tokens(collection, row)
        return cls(vectors[own], tuple(parts[token] for token in own.tolist()))


def best_links(query: Tokens, candidate: Tokens, words_ask: bool) -> Iterator[cr.Link]:
    """Yield a link from each word to its best patch.

    Parameters
    ----------
    query, candidate
        The two items.
    words_ask
        Whether the words are the query's tokens, or the candidate's.
    """
    words, patches = (query, candidate) if words_ask else (candidate, query)
    similarities = words.vectors @ patches.vectors.T
    for word, patch in enumerate(similarities.argmax(axis=1).tolist()):
        weight = similarities[word, patch]
        yield link(words.parts[word], patches.parts[patch], weight, asks=words_ask)
