"""What the gallery's captions name, as things to ask about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossrank.plugin.parameters import between, checked, integer
from crossrank_dialogue.questioners import Question
from crossrank_dialogue.topics import Topic, by_presence
from crossrank_dialogue.view import View
from crossrank_graphs import parse

REMEMBERED = 200_000
"""Captions whose facts are kept."""

Facts = set[tuple[str, ...]]


class CaptionTopics:
    """What scene graphs of the gallery's captions say (features ``captions`` and ``text``).

    Things are asked for by yes or no; where captions describe a thing in several ways, what it
    looks like is asked too.  Needs spaCy.

    Parameters
    ----------
    said, silent
        How likely a person names a thing that the candidate's captions name, and one that they do
        not: a caption's silence is no "no".
    most
        Captions of a candidate that are read.
    negations
        See `crossrank_dialogue.topics.yes_or_no`.
    """

    def __init__(
        self, said: float = 0.6, silent: float = 0.05, most: int = 5, negations: float = 0.0
    ) -> None:
        self.said = checked("CaptionTopics", "said", said, between(0, 1))
        self.silent = checked("CaptionTopics", "silent", silent, between(0, 1))
        self.most = checked("CaptionTopics", "most", most, integer(1))
        self.negations = checked("CaptionTopics", "negations", negations, between(0, 1))
        self._facts: dict[str, Facts] = {}

    def __call__(self, view: View) -> list[Topic]:
        """Return the topics of the candidates' captions.

        Raises
        ------
        MissingPackageError
            If spaCy or its model is not installed.
        """
        facts = self.facts([captions_of(view, row)[: self.most] for row in view.rows.tolist()])
        things = [{fact[0] for fact in own if len(fact) == 1} for own in facts]
        levels = self.said, self.silent
        present = by_presence(things, *levels, "captions name it", self.negations)
        return present + self._looks(facts)

    def facts(self, captions: Sequence[Sequence[str]]) -> list[Facts]:
        """Return per candidate what the graphs of its captions say, each caption parsed once."""
        texts = list(dict.fromkeys(text for own in captions for text in own))
        missing = [text for text in texts if text not in self._facts]
        if len(self._facts) + len(missing) > REMEMBERED:
            self._facts.clear()
            missing = texts
        if missing:
            graphs = parse(missing)
            self._facts.update((g.text, set(g.facts())) for g in graphs)
        return [set[tuple[str, ...]]().union(*(self._facts[t] for t in own)) for own in captions]

    def _looks(self, facts: Sequence[Facts]) -> list[Topic]:
        words: dict[str, list[str]] = {}
        for thing, word in sorted({fact for own in facts for fact in own if len(fact) == 2}):
            words.setdefault(thing, []).append(word)
        return [self._look(thing, own, facts) for thing, own in words.items() if len(own) > 1]

    def _look(self, thing: str, words: Sequence[str], facts: Sequence[Facts]) -> Topic:
        has = np.array([[(thing, word) in own for word in words] for own in facts], np.float64)
        counts = has.sum(axis=1, keepdims=True)
        # a person gives one of the answers that fit; of a silent candidate any, and seldom
        likely = np.where(
            counts > 0, self.said * has / np.maximum(counts, 1), self.silent / len(words)
        )
        often = sorted(range(len(words)), key=lambda place: -has[:, place].sum())[:6]
        shown = tuple(words[place] for place in often)
        why = f"captions of {int((counts > 0).sum())} candidates say {', '.join(shown)}"
        question = Question(f"What does the {thing} look like?", why, shown)
        return Topic(question, tuple(words), likely)


def captions_of(view: View, row: int) -> list[str]:
    """Return the captions of a gallery row: its features ``captions`` and ``text``."""
    found: list[str] = []
    for name in ("captions", "text"):
        if name in view.gallery:
            value = view.gallery[name][row]
            found += [value] if isinstance(value, str) else [str(each) for each in value]
    return [text for text in found if text.strip()]
