"""What a model is shown of the candidates: the captions that stand for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank.plugin.parameters import between, check, integer
from crossrank_dialogue.describing import Describer, describer_of
from crossrank_dialogue.selection import representatives
from crossrank_dialogue.view import View


@dataclass(frozen=True, slots=True)
class CandidateSummary:
    """PlugIR's context of the candidates: of each cluster the caption that tells most.

    Parameters
    ----------
    candidates
        How many of the best are looked at in the first round.
    shrink
        By what part of these they become fewer with every round.
    clusters
        How many captions are shown.
    seed
        Of K-means.
    describe
        What says in words what pictures show, such as ``ByWords(BankTopics(bank))``; by default the
        gallery's captions, else what a detector found in them, else the words of a list that fit
        them best by the matcher.

    References
    ----------
    Lee et al., PlugIR, ACL 2024, algorithm 1: n = 500, less 10 % of 500 each round, m = 10.
    """

    candidates: int = 500
    shrink: float = 0.1
    clusters: int = 10
    seed: int = 0
    describe: Describer | None = None

    def __post_init__(self) -> None:
        check(
            "CandidateSummary",
            self,
            candidates=integer(1),
            shrink=between(0, 1),
            clusters=integer(1),
            seed=integer(0),
        )

    def depth(self, rounds: int) -> int:
        """Return how many candidates are looked at after some rounds, never fewer than clusters."""
        fewer = round(self.candidates * self.shrink) * rounds
        return max(self.candidates - fewer, min(self.clusters, self.candidates))

    def __call__(self, view: View, rounds: int) -> tuple[str, ...]:
        """Return the captions to show, the clearest first, each once.

        Parameters
        ----------
        view
            The candidates.
        rounds
            How many questions have been answered.
        """
        shown = view.first(self.depth(rounds))
        describe = describer_of(shown) if self.describe is None else self.describe
        texts = describe(shown)
        known = [place for place, text in enumerate(texts) if text.strip()]
        if not known:
            return ()
        captions = [texts[place] for place in known]
        rows = self.rows(shown.embeddings[known], shown.similarity(captions)[:, known])
        return tuple(dict.fromkeys(captions[row] for row in rows))

    def rows(self, embeddings: ArrayLike, similarities: ArrayLike) -> NDArray[np.int64]:
        """Return the candidates that stand for all, see `crossrank_dialogue.representatives`."""
        return representatives(embeddings, similarities, self.clusters, self.seed)
