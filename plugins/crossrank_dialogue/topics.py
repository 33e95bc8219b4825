"""What can be asked about, and what each candidate would answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossrank.plugin.parameters import between, check
from crossrank_dialogue.questioners import Question
from crossrank_dialogue.view import View
from crossrank_dialogue.vocabulary import is_there

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Topic:
    """Something to ask about.

    Parameters
    ----------
    question
        In words.
    answers
        Those that would change the query.
    likelihood
        ``[n, V]`` how likely each candidate gives each of these; the rest of a row is "unknown".
    about
        The thing it is about, which a dialogue that names it need not be asked for.
    """

    question: Question
    answers: tuple[str, ...]
    likelihood: Floats
    about: str = ""


Source: TypeAlias = Callable[[View], Iterable[Topic]]
"""Whatever knows what to ask about some candidates."""


def yes_or_no(thing: str, there: Floats, why: str, negations: float = 0.0) -> Topic:
    """Return the topic of whether a thing is there.

    Parameters
    ----------
    thing
        In the singular, without an article.
    there
        ``[n]`` how likely it is in each candidate.
    why
        Who says so.
    negations
        How often a "no" is said and counts.  A caption's silence is no "no", and a query that
        leaves the thing out is the same query: by default never.
    """
    columns = [there] if negations == 0 else [there, negations * (1 - there)]
    question = Question(is_there(thing), why, ("yes", "no"))
    answers = ("yes", "no")[: len(columns)]
    return Topic(question, answers, np.stack(columns, axis=1), thing)


@dataclass(frozen=True, slots=True)
class LabelTopics:
    """What a detector found: the gallery's feature ``labels``.

    Parameters
    ----------
    found, missed
        How likely a thing is there that the detector names, and one that it does not.
    negations
        See `yes_or_no`.
    """

    found: float = 0.9
    missed: float = 0.05
    negations: float = 0.0

    def __post_init__(self) -> None:
        check(
            "LabelTopics", self, found=between(0, 1), missed=between(0, 1), negations=between(0, 1)
        )

    def __call__(self, view: View) -> list[Topic]:
        """Return a topic per label of the candidates."""
        named = [set(map(str, view.gallery["labels"][row])) for row in view.rows.tolist()]
        return by_presence(named, self.found, self.missed, "the detector sees it", self.negations)


def by_presence(
    named: Sequence[set[str]], found: float, missed: float, why: str, negations: float = 0.0
) -> list[Topic]:
    """Return a topic for each thing that some candidates have and others have not.

    Parameters
    ----------
    named
        Per candidate what it has.
    found, missed
        How likely a thing is there that it has, and one that it does not.
    why
        Who says so.
    negations
        See `yes_or_no`.
    """
    topics = []
    for thing in sorted(set[str]().union(*named)):
        has = np.array([thing in own for own in named])
        if has.all():
            continue
        said = f"{why} in {int(has.sum())} of {len(named)} candidates"
        topics.append(yes_or_no(thing, np.where(has, found, missed), said, negations))
    return topics
