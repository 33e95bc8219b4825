"""What becomes of a run's rankings: places in the caller's lists, and the candidates left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._lists.candidates import Candidates
from crossrank._lists.rankings import Rankings, StageScores
from crossrank._pipeline import Pipeline
from crossrank._rerank.lists import Lists


def nothing(candidates: Candidates, pipeline: Pipeline) -> Rankings:
    """Return the rankings of lists without a candidate."""
    shape = candidates.index.shape
    empty, none = np.zeros(shape), np.zeros(shape, np.bool_)
    raw, silent = empty.astype(np.float32), ("",) * len(candidates)
    return Rankings(
        query_ids=candidates.query_ids,
        candidate_ids=candidates.candidate_ids,
        index=candidates.index,
        final=empty,
        mask=candidates.mask,
        base_scores=candidates.scores,
        base_ranks=candidates.index,
        stages=tuple(
            StageScores(each.name, raw, empty, none, each.fusion.weight, silent)
            for each in pipeline.stages
        ),
        places=np.zeros(shape, np.int64),
    )


def with_places(rankings: Rankings, lists: Lists) -> Rankings:
    """Return rankings whose hits know their places in the lists that the caller gave.

    Parameters
    ----------
    rankings
        Whose places are those in the lists of candidates that were scored.
    lists
        What these were made of.
    """
    if rankings.places is None or not any(lists.left_out):
        return rankings
    given = np.zeros((len(rankings), max(map(len, lists.places), default=0) + 1), np.int64)
    for number, own in enumerate(lists.places):
        given[number, : len(own)] = own
    places = np.take_along_axis(given, rankings.places, axis=1)
    return replace(rankings, places=np.where(rankings.mask, places, 0))


def with_left_out(
    rankings: Rankings,
    lists: Lists,
    scores: Sequence[NDArray[np.float64]] | None,
    top_k: int | None,
    score_threshold: float | None,
) -> Rankings:
    """Return rankings in which what could not be scored stands below the rest, in base order.

    Parameters
    ----------
    rankings
        See `with_places`.
    lists
        With what is left out.
    scores
        Per query the base scores of the caller's list.
    top_k, score_threshold
        As for the run.
    """
    if not any(lists.left_out) or rankings.places is None:
        return rankings
    rows = [
        _Row(rankings, lists, number, None if scores is None else scores[number])
        for number in range(len(rankings))
    ]
    added = [row.below(top_k, score_threshold) for row in rows]
    counts = rankings.mask.sum(axis=1)
    width = int(max(counts + [len(each) for each in added], default=0))
    columns = _widened(rankings, width)
    ids = list(rankings.candidate_ids)
    for number, (row, places) in enumerate(zip(rows, added, strict=True)):
        start = int(counts[number])
        own = slice(0, start + len(places))
        below = slice(start, start + len(places))
        names = {each.place: each.id for each in lists.left_out[number]}
        columns["index"][number, below] = range(len(ids), len(ids) + len(places))
        ids += [names[place] for place in places]
        columns["final"][number, below] = [row.scores[place] for place in places]
        columns["mask"][number, below] = True
        columns["places"][number, below] = places
        columns["base_ranks"][number, own] = row.ranks[columns["places"][number, own]]
        if columns["base_scores"] is not None and scores is not None:
            columns["base_scores"][number, below] = scores[number][places]
    reasons = tuple(
        tuple({each.place: each.reason for each in own}[place] for place in places)
        for own, places in zip(lists.left_out, added, strict=True)
    )
    return replace(rankings, candidate_ids=tuple(ids), unscored=reasons, **columns)


class _Row:
    """One query's list as the caller gave it."""

    def __init__(
        self, rankings: Rankings, lists: Lists, number: int, scores: NDArray[np.float64] | None
    ) -> None:
        self.left = [each.place for each in lists.left_out[number]]
        self.scored = len(lists.places[number])
        size = self.scored + len(self.left)
        order = np.arange(size) if scores is None else np.argsort(-scores, kind="stable")
        self.ranks = np.empty(size, np.int64)
        self.ranks[order] = np.arange(1, size + 1)
        self.shown = int(rankings.mask[number].sum())
        base = -self.ranks.astype(np.float64) if scores is None else scores
        self.scores = dict(zip(self.left, base[self.left].tolist(), strict=True))
        if self.shown and self.left:
            worst = float(rankings.final[number, self.shown - 1])
            top = worst - 1e-6 * max(abs(worst), 1.0) - max(self.scores.values())
            self.scores = {place: top + score for place, score in self.scores.items()}

    def below(self, top_k: int | None, score_threshold: float | None) -> list[int]:
        """Return the places of those that are shown, best first."""
        if self.shown < (self.scored if top_k is None else min(self.scored, top_k)):
            return []  # some that were scored are below the threshold already
        places = sorted(self.left, key=lambda place: int(self.ranks[place]))
        if score_threshold is not None:
            places = [place for place in places if self.scores[place] >= score_threshold]
        return places if top_k is None else places[: max(0, top_k - self.shown)]


def _widened(rankings: Rankings, width: int) -> dict[str, Any]:
    """Return the columns with `width` places, the new ones not taken."""

    def wide(array: NDArray[Any] | None, fill: Any) -> Any:
        if array is None:
            return None
        whole = np.full((len(array), width), fill, array.dtype)
        kept = min(width, array.shape[1])
        whole[:, :kept] = array[:, :kept]
        return whole

    stages = tuple(
        replace(
            stage,
            raw=wide(stage.raw, np.nan),
            normalised=wide(stage.normalised, np.nan),
            seen=wide(stage.seen, False),
        )
        for stage in rankings.stages
    )
    return {
        "index": wide(rankings.index, 0),
        "final": wide(rankings.final, np.nan),
        "mask": wide(rankings.mask, False),
        "base_scores": wide(rankings.base_scores, np.nan),
        "base_ranks": wide(rankings.base_ranks, 0),
        "places": wide(rankings.places, 0),
        "probabilities": wide(rankings.probabilities, np.nan),
        "stages": stages,
    }
