"""Which candidates of a run are hard negatives: high in the list, not relevant, not too close."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import crossrank as cr
from crossrank.errors import InputError, UnknownIdError
from crossrank.plugin.parameters import check, finite, integer, none, one_of


class Scored(NamedTuple):
    """A candidate of one query.

    Parameters
    ----------
    id
        Its id.
    score
        The run's, None where the run has none: for a positive outside the list.
    """

    id: str
    score: float | None


@dataclass(frozen=True, slots=True)
class Negatives:
    """A query with its positives and hard negatives, best first."""

    query: str
    positives: tuple[Scored, ...]
    negatives: tuple[Scored, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What counts as a hard negative; names and meaning as in sentence-transformers.

    Parameters
    ----------
    negatives
        How many of a query.
    absolute_margin
        A candidate within this distance of the positive may be a positive that nobody judged: kept
        is what scores at most ``positive - absolute_margin``.  Of several positives in the list the
        lowest counts.
    relative_margin
        Likewise ``positive - relative_margin · |positive|``; 0.05 is what NV-Retriever recommends
        (Moreira et al., 2024, TopK-PercPos of 95 %).
    min_score, max_score
        Others are left out.
    range_min, range_max
        Of what is left, the places from `range_min` (0 is the hardest) to before `range_max`.
    sampling
        ``"top"``, the hardest; ``"random"``, any of them.
    seed
        Of the sampling; a query's draw does not depend on the other queries.
    """

    negatives: int = 3
    absolute_margin: float | None = None
    relative_margin: float | None = None
    min_score: float | None = None
    max_score: float | None = None
    range_min: int = 0
    range_max: int | None = None
    sampling: str = "top"
    seed: int = 0

    def __post_init__(self) -> None:
        check(
            "mine",
            self,
            negatives=integer(1),
            absolute_margin=finite | none,
            relative_margin=finite | none,
            min_score=finite | none,
            max_score=finite | none,
            range_min=integer(0),
            range_max=integer(self.range_min + 1) | none,
            sampling=one_of("top", "random"),
            seed=integer(0),
        )

    @property
    def needs_scores(self) -> bool:
        """Whether anything is decided by scores."""
        limits = (self.absolute_margin, self.relative_margin, self.min_score, self.max_score)
        return any(limit is not None for limit in limits)

    def highest(self, positives: Sequence[Scored]) -> float | None:
        """Return the most that a negative may score; -inf where a margin has nothing to go by."""
        limits = [] if self.max_score is None else [self.max_score]
        if self.absolute_margin is not None or self.relative_margin is not None:
            lowest = min((each.score for each in positives if each.score is not None), default=None)
            if lowest is None:
                return -float("inf")
            if self.absolute_margin is not None:
                limits.append(lowest - self.absolute_margin)
            if self.relative_margin is not None:
                limits.append(lowest - abs(lowest) * self.relative_margin)
        return min(limits, default=None)


@dataclass(frozen=True, slots=True)
class Mined:
    """Hard negatives, and what was left out on the way.

    Parameters
    ----------
    queries
        Those with a positive, in the run's order; some may have no negative.
    unjudged
        Queries of the run without a positive in the gallery; they are left out.
    too_close
        Candidates that a margin or a limit of scores left out.
    twins
        Candidates with the content of a positive, or of a harder negative, under another id.
    unlisted
        Positives that are not in their query's list, so that they have no score.
    """

    queries: tuple[Negatives, ...]
    unjudged: int
    too_close: int
    twins: int
    unlisted: int


def mine(
    candidates: cr.Candidates,
    qrels: Mapping[str, Mapping[str, int]],
    choice: Choice | None = None,
    *,
    contents: Mapping[str, Hashable] | None = None,
) -> Mined:
    """Choose hard negatives from the lists of a run.

    Parameters
    ----------
    candidates
        Any pipeline's lists, ``Candidates.from_trec(path)``.
    qrels
        ``{query: {candidate: relevance}}``; what is above 0 is a positive.
    choice
        See `Choice`.
    contents
        What each candidate of the gallery says or shows: a candidate with the content of a positive
        is no negative, whatever its id.  None for ids alone.

    Raises
    ------
    InputError
        If scores decide and the lists have none, or if no query of the run has a positive.
    UnknownIdError
        If a list has a candidate that `contents` does not know.
    """
    choice = Choice() if choice is None else choice
    if choice.needs_scores and candidates.scores is None:
        raise InputError(
            "mine: the lists have no scores, which margins and limits are about; give a run with "
            "scores, or no margin"
        )
    queries, unjudged, too_close, twins, unlisted = [], 0, 0, 0, 0
    for query, members in zip(candidates.query_ids, candidates.to_lists(), strict=True):
        listed = [Scored(candidates.candidate_ids[row], score) for row, score in members]
        relevant = [id for id, grade in qrels.get(query, {}).items() if grade > 0]
        known = [id for id in relevant if contents is None or id in contents]
        if not known:
            unjudged += 1
            continue
        scores = {each.id: each.score for each in listed}
        positives = tuple(Scored(id, scores.get(id)) for id in known)
        others = list(_without_twins(listed, known, contents))
        twins += len(listed) - len(set(scores) & set(relevant)) - len(others)
        highest = choice.highest(positives)
        kept = [each for each in others if _within(each, choice.min_score, highest)]
        too_close += len(others) - len(kept)
        unlisted += sum(id not in scores for id in known)
        queries.append(Negatives(query, positives, _chosen(query, kept, choice)))
    if not queries:
        raise InputError(
            "mine: no query of the run has a relevant item in the gallery; check that run, qrels "
            "and gallery belong together, and the direction of the qrels"
        )
    return Mined(tuple(queries), unjudged, too_close, twins, unlisted)


def _without_twins(
    listed: Sequence[Scored], positives: Sequence[str], contents: Mapping[str, Hashable] | None
) -> Iterator[Scored]:
    """Yield what is no positive and says nothing that was there before."""

    def content(id: str) -> Hashable:
        if contents is None:
            return id
        if id not in contents:
            raise UnknownIdError(f"mine: the run lists {id!r}, which the gallery does not have")
        return contents[id]

    seen = {content(id) for id in positives}
    for each in listed:
        said = content(each.id)
        if said not in seen:
            seen.add(said)
            yield each


def _within(candidate: Scored, lowest: float | None, highest: float | None) -> bool:
    score = candidate.score
    if score is None:
        return True
    return (lowest is None or score >= lowest) and (highest is None or score <= highest)


def _chosen(query: str, kept: Sequence[Scored], choice: Choice) -> tuple[Scored, ...]:
    pool = kept[choice.range_min : choice.range_max]
    if choice.sampling == "random" and len(pool) > choice.negatives:
        draw = random.Random(f"{choice.seed}:{query}").sample(range(len(pool)), choice.negatives)
        return tuple(pool[place] for place in sorted(draw))
    return tuple(pool[: choice.negatives])


__all__ = ["Choice", "Mined", "Negatives", "Scored", "mine"]
