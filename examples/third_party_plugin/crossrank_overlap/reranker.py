"""Lexical overlap: how much of what a query says a candidate says too.

With ``Q`` the words of a query that occur in the gallery and ``C`` those of a candidate,

    score = Σ idf(w) over Q ∩ C  /  Σ idf(w) over Q,        idf(w) = ln(1 + N / n(w)),

where ``n(w)`` of the ``N`` candidates in the gallery have the word: 1 if the candidate has every
word, 0 if it has none, and rare words count for more.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import crossrank as cr
from crossrank.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of `OverlapReranker`.

    Parameters
    ----------
    image_words
        The feature that holds the words of a picture: ``"text"`` (a known caption, alternative
        text, what stands on a sign) or ``"labels"`` (what a detector found).
    """

    image_words: Literal["text", "labels"] = "text"

    def __post_init__(self) -> None:
        if self.image_words not in ("text", "labels"):
            raise ParameterError(
                f"overlap: image_words is {self.image_words!r}; give text or labels"
            )


class OverlapReranker(cr.Reranker):
    """Scores a candidate by the query's words that it has, weighted by how rare they are."""

    info = cr.RerankerInfo(
        name="overlap",
        summary="words that query and candidate share, rare ones first",
        query_features=("text",),
        candidate_features=("text",),
        directions=("t2i", "i2t"),
    )
    Parameters = Parameters

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return where the words of both sides are."""
        return cr.Needs((self._source(context.queries),), (self._source(context.gallery),))

    def prepare(self, context: cr.Context) -> dict[str, float]:
        """Return how rare each word of the gallery is."""
        known = Counter(word for words in self._words(context.gallery) for word in words)
        return {word: math.log1p(len(context.gallery) / count) for word, count in known.items()}

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the share of each query that its candidates cover; abstain without words."""
        rarity: dict[str, float] = state
        asked = [words & rarity.keys() for words in self._words(block.queries)]
        found = self._words(block.candidates)
        values = np.zeros(block.mask.shape, np.float32)
        silent = np.ones(block.mask.shape, np.bool_)
        for row, place in np.argwhere(block.mask):
            wanted, words = asked[row], found[block.index[row, place]]
            if wanted and words:
                values[row, place] = _weight(wanted & words, rarity) / _weight(wanted, rarity)
                silent[row, place] = False
        return cr.Scores(values, silent, reason="no words to compare")

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        """Return the shared words of each pair, with their rarity."""
        asked, found = self._words(block.queries), self._words(block.candidates)
        scores = self.score(block, state).values
        return [
            cr.Evidence(
                block.queries.ids[row],
                block.candidates.ids[block.index[row, place]],
                float(scores[row, place]),
                tuple(
                    cr.Link(word, word, state[word])
                    for word in sorted(asked[row] & found[block.index[row, place]] & state.keys())
                ),
            )
            for row, place in np.argwhere(block.mask)
        ]

    def _source(self, side: cr.Collection) -> str:
        return self.params.image_words if side.modality == "image" else "text"

    def _words(self, side: cr.Collection) -> list[set[str]]:
        entries = side[self._source(side)]
        texts = [entry if isinstance(entry, str) else " ".join(entry) for entry in entries]
        return [set(re.findall(r"\w+", text.casefold())) for text in texts]


def _weight(words: set[str], rarity: dict[str, float]) -> float:
    # fsum, since a set comes in another order in every process and the bits must not depend on it
    return math.fsum(rarity[word] for word in words)
