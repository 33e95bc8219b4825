"""What candidates show, in words: for a model that cannot see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from crossrank_dialogue.caption_topics import captions_of
from crossrank_dialogue.view import View
from crossrank_dialogue.vocabulary import with_article
from crossrank_dialogue.word_topics import BankTopics, WordTopics

Describer: TypeAlias = Callable[[View], Sequence[str]]
"""Candidates in, a text for each out; an empty one where nothing is known."""


def by_captions(view: View) -> list[str]:
    """Return the first caption of each."""
    return [next(iter(captions_of(view, row)), "") for row in view.rows.tolist()]


def by_labels(view: View) -> list[str]:
    """Return what a detector found in each: "2 dogs, a person"."""
    found = [Counter(map(str, view.gallery["labels"][row])) for row in view.rows.tolist()]
    return [
        ", ".join(with_article(name) if n == 1 else f"{n} {name}s" for name, n in own.items())
        for own in found
    ]


class ByWords:
    """The words that fit each picture best.

    Parameters
    ----------
    source
        Who says so: the matcher itself (`WordTopics`, over a list of ours by default), or a
        knowledge bank (`BankTopics`).
    most
        How many are said of a picture.
    """

    def __init__(self, source: WordTopics | BankTopics | None = None, most: int = 4) -> None:
        self.source = WordTopics(choices=()) if source is None else source
        self.most = most

    def __call__(self, view: View) -> list[str]:
        """Return the words of each, the best first."""
        things = [with_article(thing) for thing in self.source.things]
        places = self.source.deviations(view)[: len(things)]
        best = np.argsort(-places, axis=0, kind="stable")[: self.most]
        return [", ".join(things[place] for place in own) for own in best.T]


def describer_of(view: View) -> Describer:
    """Return what says most of a gallery: captions, a detector's labels, or the matcher's words."""
    if "captions" in view.gallery or "text" in view.gallery:
        return by_captions
    return by_labels if "labels" in view.gallery else ByWords()
