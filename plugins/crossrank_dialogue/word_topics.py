"""Words that fit some candidates better than others, as things to ask about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from crossrank import Collection
from crossrank.errors import InputError
from crossrank.plugin.parameters import between, checked, finite, integer, positive
from crossrank.plugin.unit_rows import unit
from crossrank_dialogue.questioners import Question
from crossrank_dialogue.topics import Topic, yes_or_no
from crossrank_dialogue.view import View
from crossrank_dialogue.vocabulary import CHOICES, THINGS, with_article
from crossrank_knowledge import KnowledgeBank

Floats = NDArray[np.float64]

SLOPE, OFFSET = 1.3, -3.2
"""Of the logistic function from deviations to how likely a thing is there."""


class WordTopics:
    """What the matcher itself sees: words whose texts fit a picture better than most pictures.

    Needs nothing but embeddings, so it works for any gallery.

    Parameters
    ----------
    things
        In the singular, without articles.
    choices
        Pairs of a question and its answers.
    slope, offset
        A thing is there with likelihood ``1 / (1 + exp(−(slope · z + offset)))``, z being by how
        many standard deviations the picture fits it better than those of the gallery do.
    sample
        Pictures of the gallery that mean and deviation are taken from.
    negations
        See `crossrank_dialogue.topics.yes_or_no`.
    """

    def __init__(
        self,
        things: Sequence[str] = THINGS,
        choices: Sequence[tuple[str, Sequence[str]]] = CHOICES,
        *,
        slope: float = SLOPE,
        offset: float = OFFSET,
        sample: int = 2000,
        negations: float = 0.0,
    ) -> None:
        if isinstance(things, str) or not (things or choices):
            raise InputError("WordTopics: give at least one thing or one question with answers")
        self.things = tuple(things)
        self.choices = tuple((question, tuple(answers)) for question, answers in choices)
        self.slope = checked("WordTopics", "slope", slope, positive)
        self.offset = checked("WordTopics", "offset", offset, finite)
        self.sample = checked("WordTopics", "sample", sample, integer(2))
        self.negations = checked("WordTopics", "negations", negations, between(0, 1))
        self._known: tuple[Collection, Floats, Floats, Floats] | None = None

    def __call__(self, view: View) -> list[Topic]:
        """Return the topics."""
        places = self.deviations(view)
        topics = []
        for thing, own in zip(self.things, places, strict=False):
            there = expit(self.slope * own + self.offset)
            why = f"it fits {int((there > 0.5).sum())} of {len(view)} candidates well"
            topics.append(yes_or_no(thing, there, why, self.negations))
        start = len(self.things)
        for question, answers in self.choices:
            likely = softmax(self.slope * places[start : start + len(answers)], axis=0).T
            start += len(answers)
            best = np.bincount(likely.argmax(axis=1), minlength=len(answers))
            often = [answers[place] for place in np.argsort(-best, kind="stable")[:3]]
            why = f"the candidates differ: most look like {', '.join(often)}"
            topics.append(Topic(Question(question, why, answers), answers, likely))
        return topics

    def deviations(self, view: View) -> Floats:
        """Return ``[words, n]`` by how many standard deviations each word fits each candidate."""
        if self._known is None or self._known[0] is not view.gallery:
            texts = [with_article(thing) for thing in self.things]
            texts += [answer for _, answers in self.choices for answer in answers]
            words = view.embed(texts)
            step = max(1, len(view.gallery) // self.sample)
            some = np.asarray(view.gallery["embedding"][::step], np.float64)
            scores = words @ some.T
            spread = scores.std(axis=1, keepdims=True)
            spread = np.where(spread > 1e-9, spread, 1.0)
            self._known = view.gallery, words, scores.mean(axis=1, keepdims=True), spread
        _, words, mean, spread = self._known
        found: Floats = (np.einsum("td,nd->tn", words, view.embeddings) - mean) / spread
        return found


class BankTopics:
    """What a knowledge bank sees: prototypes of words beside the regions of the candidates.

    Parameters
    ----------
    bank
        Made of the same kind of ``regions`` as the gallery has.
    things
        Which of its words may be asked about; those it does not have are left out.
    slope, offset, negations
        As for `WordTopics`; deviations are among the candidates.

    Raises
    ------
    InputError
        If the bank has none of the words.
    """

    def __init__(
        self,
        bank: KnowledgeBank,
        things: Sequence[str] = THINGS,
        *,
        slope: float = SLOPE,
        offset: float = OFFSET,
        negations: float = 0.0,
    ) -> None:
        self.things = tuple(thing for thing in things if thing in bank)
        if not self.things:
            raise InputError("BankTopics: the bank has none of these words; give others")
        rows = np.stack([bank.lookup(thing) for thing in self.things]).astype(np.float64)
        self._words = unit(rows)
        self.slope = checked("BankTopics", "slope", slope, positive)
        self.offset = checked("BankTopics", "offset", offset, finite)
        self.negations = checked("BankTopics", "negations", negations, between(0, 1))

    def __call__(self, view: View) -> list[Topic]:
        """Return a topic per word.

        Raises
        ------
        MissingFeatureError
            If the gallery has no ``regions``.
        """
        topics = []
        for thing, own in zip(self.things, self.deviations(view), strict=True):
            there = expit(self.slope * own + self.offset)
            why = f"the bank sees it in {int((there > 0.5).sum())} of {len(view)} candidates"
            topics.append(yes_or_no(thing, there, why, self.negations))
        return topics

    def deviations(self, view: View) -> Floats:
        """Return ``[words, n]`` by how many standard deviations each word fits each candidate."""
        regions = view.gallery["regions"]
        fits = np.stack([self._best(regions[row]) for row in view.rows.tolist()], axis=1)
        spread = fits.std(axis=1, keepdims=True)
        found: Floats = (fits - fits.mean(axis=1, keepdims=True)) / np.where(
            spread > 1e-9, spread, 1.0
        )
        return found

    def _best(self, regions: NDArray[np.floating]) -> Floats:
        """Return ``[words]`` how well the best region fits each."""
        rows = np.asarray(regions, np.float64)
        if len(rows) == 0:
            return np.zeros(len(self.things))
        best: Floats = (self._words @ unit(rows).T).max(axis=1)
        return best
