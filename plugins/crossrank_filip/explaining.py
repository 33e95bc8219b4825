"""What `FilipReranker.explain` shows of one pair: for each word its best patch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.parts import own_tokens
from crossrank_filip.kernel import Floats

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Parts:
    """The tokens of one item and what to call them.

    Parameters
    ----------
    tokens
        ``[L, D]``.
    names
        ``[L]`` words, or numbers.
    boxes
        ``[L]`` where each lies in the picture, None where that is not known.
    """

    tokens: Floats
    names: tuple[str, ...]
    boxes: tuple[Box | None, ...]

    @classmethod
    def of(cls, collection: cr.Collection, row: int) -> Parts:
        """Read one item; what it does not say of its tokens becomes their numbers.

        Tokens whose ``token_roles`` is 0 belong to a model's prompt: they count in scores, and have
        no place here.
        """
        tokens = np.asarray(collection["tokens"][row], np.float32)
        names = tuple(str(token) for token in range(len(tokens)))
        if "token_text" in collection and len(collection["token_text"][row]) == len(tokens):
            names = tuple(str(word) for word in collection["token_text"][row])
        boxes: tuple[Box | None, ...] = (None,) * len(tokens)
        if "token_boxes" in collection and len(collection["token_boxes"][row]) == len(tokens):
            boxes = tuple(_box(corners) for corners in collection["token_boxes"][row])
        own = own_tokens(collection, row).tolist()
        return cls(
            tokens[own], tuple(names[token] for token in own), tuple(boxes[token] for token in own)
        )


def links(query: Parts, candidate: Parts, words_asked: bool) -> tuple[cr.Link, ...]:
    """Return a link from each word to its best patch.

    Parameters
    ----------
    query, candidate
        The two items.
    words_asked
        Whether the words are the query's tokens, or the candidate's.
    """
    similarities = query.tokens @ candidate.tokens.T
    best = similarities.argmax(axis=1 if words_asked else 0).tolist()
    pairs = [(word, patch) if words_asked else (patch, word) for word, patch in enumerate(best)]
    return tuple(
        cr.Link(
            query=query.names[asked],
            candidate=candidate.names[listed],
            weight=float(similarities[asked, listed]),
            query_box=query.boxes[asked],
            candidate_box=candidate.boxes[listed],
        )
        for asked, listed in pairs
    )


def _box(corners: NDArray[np.floating]) -> Box:
    x0, y0, x1, y1 = (float(corner) for corner in corners)
    return x0, y0, x1, y1
