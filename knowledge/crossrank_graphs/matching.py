"""How far found graphs agree with those that people wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from crossrank.errors import InputError
from crossrank_graphs.graph import Fact, Graph

Normalise = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts over many texts, and what follows from them, in percent.

    Parameters
    ----------
    matched, found, expected
        How many facts of this kind agree, were found, and are right.
    """

    matched: float
    found: int
    expected: int

    @property
    def precision(self) -> float:
        """Return the share of what was found that is right."""
        return 100.0 * self.matched / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Return the share of what is right that was found."""
        return 100.0 * self.matched / self.expected if self.expected else 0.0

    @property
    def f1(self) -> float:
        """Return the harmonic mean of precision and recall."""
        together = self.found + self.expected
        return 200.0 * self.matched / together if together else 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Agreement on objects, attributes and relations; `whole` is the percentage of whole graphs."""

    objects: Agreement
    attributes: Agreement
    relations: Agreement
    whole: float


def compare(
    found: Sequence[Graph],
    expected: Sequence[Graph],
    normalise: Normalise = str.lower,
    soft: bool = False,
) -> Comparison:
    """Count the facts that two lists of graphs share, text by text.

    Parameters
    ----------
    found, expected
        Graphs of the same texts in the same order.
    normalise
        Applied to every name before it is compared, for instance a lemma per word.
    soft
        Give a fact without an equal the similarity (``difflib``) of its nearest one that no
        other has taken, instead of nothing.  A graph is whole by equality in either case.

    Raises
    ------
    InputError
        If the lists differ in length or are empty.
    """
    if len(found) != len(expected) or not found:
        raise InputError(f"compare: {len(found)} graphs found, {len(expected)} expected")
    counts = [[0.0, 0, 0] for _ in range(3)]
    whole = 0
    for one, other in zip(found, expected, strict=True):
        have, want = _facts(one, normalise), _facts(other, normalise)
        whole += have == want
        for size in (1, 2, 3):
            ours = {fact for fact in have if len(fact) == size}
            theirs = {fact for fact in want if len(fact) == size}
            count = counts[size - 1]
            count[0] += len(ours & theirs)
            if soft:
                count[0] += _nearest(ours - theirs, theirs - ours)
            count[1] += len(ours)
            count[2] += len(theirs)
    objects, attributes, relations = (Agreement(n, int(a), int(b)) for n, a, b in counts)
    return Comparison(objects, attributes, relations, whole=100.0 * whole / len(found))


def _facts(graph: Graph, normalise: Normalise) -> set[Fact]:
    facts: set[Fact] = set()
    for fact in graph.facts():
        if len(fact) == 3:
            facts.add((normalise(fact[0]), fact[1].lower(), normalise(fact[2])))
        else:
            facts.add((normalise(fact[0]), *(word.lower() for word in fact[1:])))
    return facts


def _nearest(ours: Iterable[Fact], theirs: Iterable[Fact]) -> float:
    """Pair facts greedily, nearest first, and return the sum of their similarities."""
    pairs = sorted(
        (
            (SequenceMatcher(None, " ".join(a), " ".join(b)).ratio(), a, b)
            for a in ours
            for b in theirs
        ),
        reverse=True,
    )
    taken: set[tuple[int, Fact]] = set()
    total = 0.0
    for similarity, a, b in pairs:
        if (0, a) not in taken and (1, b) not in taken:
            taken |= {(0, a), (1, b)}
            total += similarity
    return total
