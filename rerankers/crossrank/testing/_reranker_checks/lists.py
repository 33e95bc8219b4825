"""Lists of any length go in, and the same candidates come out."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossrank._items.collection import Collection
from crossrank._items.ragged import Ragged
from crossrank._lists.candidates import Candidates
from crossrank._lists.fusion import RRF, Replace
from crossrank._lists.hits import Hit
from crossrank._lists.rankings import Ranking
from crossrank._lists.weighted_sum import WeightedSum
from crossrank.errors import CrossrankError, PluginError
from crossrank.plugin.contract import Scores
from crossrank.testing._case import RerankerCase
from crossrank.testing._check import require


def result_is_a_permutation_of_the_candidates(case: RerankerCase) -> None:
    """Expect every candidate of every list once, whatever the fusion."""
    given = case.lists().to_run()
    for fusion in (Replace(), WeightedSum(), RRF()):
        for query, ranking in case.rerank(fusion=fusion).items():
            require(
                sorted(ranking.ids) == sorted(given[query]),
                f"query {query!r} went in with {len(given[query])} candidates and came out with "
                f"{len(ranking)} under {fusion!r}; score every candidate",
            )


def lists_of_any_length_give_the_same_types(case: RerankerCase) -> None:
    """Expect rankings of hits with Python floats for none, one and many."""
    for count in (0, 1, len(case.gallery)):
        for queries in (0, 1, len(case.queries)):
            _require_types(case, queries, count)


def absent_base_scores_are_scored_or_refused(case: RerankerCase) -> None:
    """Expect scores without base scores, or an error that says they are needed."""
    run = case.start(case.lists(scored=False))
    try:
        scores = run.scorer.score(run.block(), run.state)
    except CrossrankError:
        return
    require(isinstance(scores, Scores), "score() without base scores must return Scores")


def items_without_content_are_scored_or_refused(case: RerankerCase) -> None:
    """Expect a score, an abstention or an error for a picture without regions, an empty text."""
    case.rerank()  # what fails anyway has nothing to do with empty items
    queries, gallery = _first_emptied(case.queries), _first_emptied(case.gallery)
    for sides in ((queries, case.gallery), (case.queries, gallery)):
        try:
            case.rerank(queries=sides[0], gallery=sides[1])
        except PluginError as error:
            raise AssertionError(
                f"an item without tokens, regions or words breaks it: {error}; abstain from its "
                "pairs, or raise another error out of crossrank.errors"
            ) from error
        except CrossrankError:
            continue


def _require_types(case: RerankerCase, queries: int, count: int) -> None:
    lists = Candidates.from_lists(
        [case.gallery.ids[:count]] * queries,
        scores=[np.linspace(1, 0, count)] * queries,
        query_ids=case.queries.ids[:queries],
        candidate_ids=case.gallery.ids,
        direction=case.direction,
    )
    rankings = case.rerank(lists)
    where = f"for {queries} queries of {count} candidates"
    require(len(rankings) == queries, f"{len(rankings)} rankings came back {where}")
    for ranking in rankings.values():
        require(
            isinstance(ranking, Ranking) and len(ranking) == count,
            f"{ranking!r} came back {where}; score() must take blocks of any size",
        )
        for hit in ranking:
            require(
                isinstance(hit, Hit) and type(hit.score) is float,
                f"the hit {hit!r} came back {where}",
            )


def _first_emptied(collection: Collection) -> Collection:
    """Return the collection with nothing in the first item's ragged features, lists and text."""
    changed: dict[str, Any] = {}
    for name in collection.features:
        feature = collection[name]
        if isinstance(feature, Ragged):
            lengths = feature.lengths.copy()
            lengths[0] = 0
            changed[name] = Ragged(feature.flat[feature.lengths[0] :], lengths)
        elif not isinstance(feature, np.ndarray) and name != "path":
            changed[name] = (type(feature[0])(), *feature[1:])
    return collection.with_features(**changed)
