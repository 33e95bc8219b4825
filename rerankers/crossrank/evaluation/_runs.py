"""What can be evaluated, read as ranked lists of ids under names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossrank._files.trec import read_run
from crossrank._lists.candidates import Candidates
from crossrank._lists.rankings import Rankings
from crossrank.errors import InputError

RunLike: TypeAlias = Rankings | Candidates | Mapping[str, Mapping[str, float | None]] | str | Path
"""Rankings, candidates, a run ``{query: {candidate: score}}``, or the path of a TREC run file."""


@dataclass(frozen=True, slots=True)
class RankedLists:
    """Ranked lists of ids, each made when it is read.

    `rows` says where each query stands; by row, `read` returns the ids, best first, and `scores`
    their scores in that order, None without any.  `depth` is the length of the longest list.
    """

    rows: Mapping[str, int]
    read: Callable[[int], Sequence[str]]
    depth: int
    direction: str | None = None
    scores: Callable[[int], NDArray[np.float64] | None] = lambda row: None

    def scores_of(self, query: str) -> NDArray[np.float64] | None:
        """Return the scores of a query's list; None without scores, or without a list."""
        row = self.rows.get(query)
        return None if row is None else self.scores(row)

    def of(self, query: str) -> Sequence[str]:
        """Return the list of a query; empty where it has none."""
        row = self.rows.get(query)
        return () if row is None else self.read(row)


def named_lists(rankings: RunLike | Mapping[str, Any]) -> tuple[dict[str, RankedLists], str]:
    """Return what is to be compared under names, and what has to be said about it (or "").

    Rankings that come alone bring their base order as ``"base"``.
    """
    named, note = _named(rankings)
    if not any(each.depth for each in named.values()):
        raise InputError("evaluate: there is nothing to evaluate, every list is empty")
    return named, note


def _named(rankings: Any) -> tuple[dict[str, RankedLists], str]:
    if isinstance(rankings, Rankings):
        return _before_and_after("reranked", rankings)
    if isinstance(rankings, Candidates):
        return {"base": _from_candidates(rankings)}, ""
    if isinstance(rankings, str | Path):
        return {Path(rankings).stem: _read("", rankings)}, ""
    if _is_run(rankings):
        return {"run": _from_run(rankings)}, ""
    if not isinstance(rankings, Mapping):
        raise InputError(
            f"evaluate: cannot read a {type(rankings).__name__}; give Rankings, Candidates, a run "
            "{query: {candidate: score}}, or a mapping from name to any of these"
        )
    if len(rankings) == 1:
        [(name, only)] = rankings.items()
        if isinstance(only, Rankings) and name != "base":
            return _before_and_after(str(name), only)
    return {str(name): _read(str(name), each) for name, each in rankings.items()}, ""


def _is_run(value: Any) -> bool:
    """Tell a run from a mapping of runs by what the inner mappings hold."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(
            isinstance(each, Mapping)
            and not any(isinstance(score, Mapping | Sequence) for score in each.values())
            for each in value.values()
        )
    )


def _read(name: str, run: Any) -> RankedLists:
    if isinstance(run, Rankings):
        return _from_rankings(run)
    if isinstance(run, Candidates):
        return _from_candidates(run)
    if isinstance(run, str | Path):
        return _from_run(read_run(Path(run)))
    if _is_run(run):
        return _from_run(run)
    raise InputError(
        f"evaluate: {name!r} is a {type(run).__name__}; give Rankings, Candidates, a run "
        "{query: {candidate: score}} or the path of a run file"
    )


def _before_and_after(name: str, rankings: Rankings) -> tuple[dict[str, RankedLists], str]:
    after = {name: _from_rankings(rankings)}
    taken = rankings.mask.sum(axis=1)
    if (np.where(rankings.mask, rankings.base_ranks, 0).max(axis=1, initial=0) > taken).any():
        return after, (
            "the rankings were cut (top_k, score_threshold), so their base order is incomplete "
            "and is left out; compare with the candidates: "
            'evaluate({"base": candidates, "reranked": rankings}, qrels)'
        )
    return {"base": _from_base(rankings), **after}, ""


def _from_rankings(rankings: Rankings) -> RankedLists:
    taken = rankings.mask.sum(axis=1)
    return _from_columns(rankings, lambda row: slice(taken[row]), rankings.final)


def _from_base(rankings: Rankings) -> RankedLists:
    taken = rankings.mask.sum(axis=1)

    def places(row: int) -> NDArray[np.int64]:
        return np.argsort(rankings.base_ranks[row, : taken[row]], kind="stable")

    return _from_columns(rankings, places, rankings.base_scores)


def _from_candidates(candidates: Candidates) -> RankedLists:
    order, taken = candidates.base_order(), candidates.mask.sum(axis=1)
    return _from_columns(candidates, lambda row: order[row, : taken[row]], candidates.scores)


def _from_columns(
    lists: Rankings | Candidates,
    places: Callable[[int], Any],
    scores: NDArray[np.float64] | None,
) -> RankedLists:
    """Return the lists of columns, whose places in a row, best first, a function tells."""

    def read(row: int) -> list[str]:
        return [lists.candidate_ids[index] for index in lists.index[row, places(row)]]

    def scores_in(row: int) -> NDArray[np.float64] | None:
        return None if scores is None else scores[row, places(row)]

    depth = int(lists.mask.sum(axis=1).max(initial=0))
    return RankedLists(_numbered(lists.query_ids), read, depth, lists.direction, scores_in)


def _from_run(run: Mapping[str, Mapping[str, float | None]]) -> RankedLists:
    lists = [_ordered(str(query), members) for query, members in run.items()]
    depth = max(map(len, lists), default=0)
    members = list(run.values())

    def scores(row: int) -> NDArray[np.float64] | None:
        own = list(members[row].values())
        if not own or any(score is None for score in own):
            return None
        return -np.sort(-np.asarray(own, np.float64))

    return RankedLists(_numbered(map(str, run)), lists.__getitem__, depth, None, scores)


def _ordered(query: str, members: Mapping[str, float | None]) -> list[str]:
    """Sort by score, falling; equal and absent scores keep the order of the mapping."""
    ids = [str(id) for id in members]
    scores = list(members.values())
    if all(score is None for score in scores):
        return ids
    for id, score in zip(ids, scores, strict=True):
        if not isinstance(score, int | float | np.number) or not np.isfinite(score):
            raise InputError(
                f"evaluate: the score of candidate {id!r} for query {query!r} is {score!r}; "
                "give finite numbers, or None for all"
            )
    falling = -np.asarray(scores, np.float64)
    return [ids[place] for place in np.argsort(falling, kind="stable")]


def _numbered(queries: Iterable[str]) -> dict[str, int]:
    return {id: row for row, id in enumerate(queries)}
