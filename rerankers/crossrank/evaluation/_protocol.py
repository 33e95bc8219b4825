"""`evaluate`: ranked lists against relevance judgements, before and after."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._checking import checked, none, text
from crossrank._files.trec import Qrels
from crossrank.errors import OrientationError, UnknownIdError
from crossrank.evaluation._compare import compare
from crossrank.evaluation._measures import DEFAULT_METRICS, Measure, parse_measures
from crossrank.evaluation._qrels import (
    QrelsLike,
    as_qrels,
    clusters_by_relevance,
    clusters_given,
    relevant_sets,
)
from crossrank.evaluation._result import Evaluation
from crossrank.evaluation._runs import RankedLists, RunLike, named_lists
from crossrank.evaluation._significance import Significance
from crossrank.evaluation._ties import Groups, Ties, note_of, ties

log = logging.getLogger(__name__)


def evaluate(
    rankings: RunLike | Mapping[str, Any],
    qrels: QrelsLike,
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    direction: str | None = None,
    baseline: str | None = None,
    clusters: Mapping[str, Hashable] | None = None,
    resamples: int = 9999,
    confidence: float = 0.95,
    method: str = "percentile",
    seed: int = 0,
) -> Evaluation:
    """Measure rankings against relevance judgements, systems side by side.

    Every query of the qrels counts: one without a list, or without a relevant item in it, is a
    miss, never left out.  Lists whose query the qrels do not know are left out.  The notes of the
    result, and a log record, say how many there were of each.  Where irrelevant candidates share
    the score of the first relevant one, `Evaluation.ties` and a note give the minimum, the expected
    and the maximum of each metric over all orders of equal scores.

    Parameters
    ----------
    rankings
        `Rankings` (their base order is the row before, ``"base"``, their final order the row after,
        ``"reranked"``), `Candidates`, a run ``{query: {candidate: score}}``, the path of a TREC run
        file, or a mapping from a name of your choice to any of these.  Equal scores of a run keep
        its order; unlike trec_eval, nothing is ever decided by the ids.
    qrels
        Query → relevant ids (a str, set or list, or ``{id: relevance}`` with whole numbers, above 0
        for relevant), or the path of a TREC qrels file.
    metrics
        ``"R@K"`` (100 · share of queries with *any* relevant item among the first K), ``"MedR"``,
        ``"MeanR"`` and ``"MRR"`` of the first relevant item; and every name of ir-measures as that
        defines it, such as ``"nDCG@10"``, with ``ir:`` in front where names clash (``"ir:R@5"`` is
        recall).  MedR and MeanR look as deep as the longest list of the shortest system; a relevant
        item beyond that counts as the next rank, which makes them lower bounds.  The median of an
        even number of ranks is the mean of the middle two, 1.5 of 1 and 2: open_clip and VSE++
        round it down to 1.
    direction
        For the title of the table; read from rankings and candidates where these know it.
    baseline
        Which system the others are held against; the first by default.
    clusters
        Query → label: queries that are not independent.  By default those with the same relevant
        items: for text queries the captions of one image.
    resamples, confidence, method, seed
        Of the tests; see `Significance`.  ``resamples=0`` skips them.

    Returns
    -------
    Evaluation
        Print it for a table.  For RSUM evaluate both directions and print
        ``BothDirections(t2i, i2t)``.

    Raises
    ------
    InputError
        On qrels, runs, metrics or settings that cannot be read.
    OrientationError
        If the rankings know of another direction.
    UnknownIdError
        If no list belongs to any query of the qrels, or a query to no cluster.

    Examples
    --------
    >>> run = {"q1": {"a": 0.9, "b": 0.5}, "q2": {"a": 0.7, "b": 0.2}}
    >>> evaluate(run, {"q1": "a", "q2": "b"}, ["R@1", "MRR"])["run"]
    {'R@1': 50.0, 'MRR': 0.75}
    """
    significance = Significance(resamples, confidence, method, seed)
    measures = parse_measures(metrics)
    judged = as_qrels(qrels)
    systems, note = named_lists(rankings)
    queries = tuple(judged)
    relevant = relevant_sets(judged, queries)
    # ranks are compared as deep as the shortest system looks, else it would gain by stopping
    shortest = min(each.depth for each in systems.values() if each.depth)
    notes = [note] if note else []
    unjudgeable = sum(not items for items in relevant)
    if unjudgeable:
        notes.append(
            f"queries without a relevant item in the qrels: {unjudgeable:,}; they count as misses"
        )
    values: dict[str, NDArray[np.float64]] = {}
    ranks: dict[str, NDArray[np.float64]] = {}
    open_ones: dict[str, Ties] = {}
    for name, lists in systems.items():
        ranks[name] = _first_ranks(lists, queries, relevant)
        values[name] = _measured(measures, ranks[name], shortest + 1, judged, lists)
        notes.extend(_trouble(name, lists, queries, judged, ranks[name]))
        tied = ties(_groups(lists, queries, relevant, ranks[name]), measures, shortest + 1)
        if tied is not None:
            open_ones[name] = tied
    for each in notes:
        log.warning("evaluate: %s", each)
    if any(each.counts_ranks for each in measures):
        notes.extend(_bounded(ranks, shortest))
    notes.extend(note_of(name, each) for name, each in open_ones.items() if each.bounds)
    return compare(
        values,
        measures,
        queries,
        clusters_by_relevance(relevant) if clusters is None else clusters_given(clusters, queries),
        baseline,
        significance,
        _direction(systems, direction),
        notes,
        open_ones,
    )


def _direction(systems: Mapping[str, RankedLists], given: str | None) -> str | None:
    checked("evaluate", "direction", given, text | none)
    known = {each.direction for each in systems.values()} | {given}
    directions = sorted(each for each in known if each is not None)
    if len(directions) > 1:
        raise OrientationError(
            f"evaluate: {' and '.join(directions)} cannot be compared; evaluate each direction "
            "alone"
        )
    return directions[0] if directions else None


def _first_ranks(
    lists: RankedLists, queries: Sequence[str], relevant: Sequence[frozenset[str]]
) -> NDArray[np.float64]:
    """Return ``[Q]`` ranks of the first relevant item, infinite where none is in the list."""
    return np.array(
        [
            next((rank for rank, id in enumerate(lists.of(query), 1) if id in items), np.inf)
            for query, items in zip(queries, relevant, strict=True)
        ],
        np.float64,
    )


def _groups(
    lists: RankedLists,
    queries: Sequence[str],
    relevant: Sequence[frozenset[str]],
    ranks: NDArray[np.float64],
) -> Groups:
    """Return the candidates that share the score of each query's first relevant item."""
    better, size, own = (np.zeros(len(queries), np.int64) for _ in range(3))
    for row, (query, items) in enumerate(zip(queries, relevant, strict=True)):
        scores = lists.scores_of(query) if np.isfinite(ranks[row]) else None
        if scores is None:
            better[row] = 0 if np.isinf(ranks[row]) else ranks[row] - 1
            size[row] = own[row] = int(np.isfinite(ranks[row]))
            continue
        place = int(ranks[row]) - 1
        first = int(np.searchsorted(-scores, -scores[place], side="left"))
        last = int(np.searchsorted(-scores, -scores[place], side="right"))
        better[row], size[row] = first, last - first
        own[row] = sum(id in items for id in lists.of(query)[first:last]) if size[row] > 1 else 1
    return Groups(better, size, own)


def _measured(
    measures: Sequence[Measure],
    ranks: NDArray[np.float64],
    miss: int,
    qrels: Qrels,
    lists: RankedLists,
) -> NDArray[np.float64]:
    """Return ``[M, Q]`` all measures per query."""
    result = np.zeros((len(measures), len(ranks)))
    foreign = [row for row, each in enumerate(measures) if each.ir]
    if foreign:
        from crossrank.evaluation._irmeasures import values

        names = [measures[row].ir for row in foreign]
        result[foreign] = values(names, qrels, {query: lists.of(query) for query in qrels})
    for row, each in enumerate(measures):
        if not each.ir:
            result[row] = each.of_ranks(ranks, miss)
    return result


def _trouble(
    name: str,
    lists: RankedLists,
    queries: Sequence[str],
    qrels: Qrels,
    ranks: NDArray[np.float64],
) -> list[str]:
    """Return what is wrong with a system; refuse one that has a list for no query of the qrels."""
    absent = sum(query not in lists.rows for query in queries)
    if absent == len(queries):
        known = f"{next(iter(lists.rows))!r}" if lists.rows else "none"
        raise UnknownIdError(
            f"evaluate: {name!r} has no list for any query of the qrels (these know "
            f"{queries[0]!r}, the lists {known}); give the qrels of the same direction, "
            "with the same ids"
        )
    notes = []
    if absent:
        notes.append(f"{name}: queries without a list: {absent:,}; they count as misses")
    unjudged = sum(query not in qrels for query in lists.rows)
    if unjudged:
        notes.append(f"{name}: queries that the qrels do not know: {unjudged:,}; left out")
    if np.isinf(ranks).all():
        notes.append(f"{name}: no relevant item is in any list; do the ids match the qrels?")
    return notes


def _bounded(ranks: Mapping[str, NDArray[np.float64]], depth: int) -> list[str]:
    """Return how many queries of each system MedR and MeanR know only a bound of."""
    beyond = {name: int((each > depth).sum()) for name, each in ranks.items()}
    if not any(beyond.values()):
        return []
    told = ", ".join(f"{name} {count:,}" for name, count in beyond.items())
    return [
        f"queries without a relevant item among the first {depth}: {told}; they count as rank "
        f"{depth + 1} in MedR and MeanR, a lower bound"
    ]
