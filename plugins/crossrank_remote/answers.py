"""A server's answers as rankings, equal to those of `crossrank.rerank_many`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.errors import RemoteError

Results = Sequence[Mapping[str, Any]]


def rankings_of(
    query_ids: Sequence[str],
    names: Sequence[Sequence[str]],
    answers: Sequence[Results],
    scored: bool,
    direction: str | None,
    score_threshold: float | None = None,
) -> cr.Rankings:
    """Return rankings from the results of one answer per query.

    Parameters
    ----------
    query_ids
        The queries' names.
    names
        Per query the names of its candidates, in the order they were sent.
    answers
        Per query its ``results``, with ``trace`` and ``base_rank``.
    scored
        Whether there are base scores.
    direction
        ``"t2i"`` and so on.
    score_threshold
        The lowest score to keep, inclusive.
    """
    ids = list(dict.fromkeys(name for own in names for name in own))
    row_of = {id: row for row, id in enumerate(ids)}
    kept = [
        [hit for hit in hits if score_threshold is None or _score(hit) >= score_threshold]
        for hits in answers
    ]
    shape = len(kept), max(map(len, kept), default=0)
    index, places = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    final, base = np.full(shape, np.nan), np.full(shape, np.nan)
    ranks, mask = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    try:
        for query, hits in enumerate(kept):
            for place, hit in enumerate(hits):
                index[query, place] = row_of[names[query][hit["index"]]]
                places[query, place] = hit["index"]
                final[query, place] = _score(hit)
                ranks[query, place] = hit["base_rank"]
                mask[query, place] = True
                if scored:
                    base[query, place] = hit["base_score"]
        stages = _stages(kept, shape)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise RemoteError(
            "client: the answer is not of a crossrank server of this version; for other servers "
            "use the reranker 'remote'"
        ) from error
    return cr.Rankings(
        query_ids=tuple(query_ids),
        candidate_ids=tuple(ids),
        index=index,
        final=final,
        mask=mask,
        base_scores=base if scored else None,
        base_ranks=ranks,
        stages=stages,
        direction=direction,
        places=places,
    )


def _score(hit: Mapping[str, Any]) -> float:
    return float(hit["relevance_score"])


def _stages(kept: Sequence[Results], shape: tuple[int, int]) -> tuple[cr.StageScores, ...]:
    first: Sequence[Mapping[str, Any]] = next((hit["trace"] for hits in kept for hit in hits), [])
    stages = []
    for number, stage in enumerate(first):
        raw, normalised = np.full(shape, np.float32(np.nan)), np.full(shape, np.nan)
        seen, reasons = np.zeros(shape, np.bool_), [""] * shape[0]
        for query, hits in enumerate(kept):
            for place, hit in enumerate(hits):
                trace = hit["trace"][number]
                seen[query, place] = "beyond the stage" not in trace["note"]
                if trace["score"] is not None:
                    raw[query, place] = trace["score"]
                    normalised[query, place] = trace["normalised"]
                elif seen[query, place]:
                    reasons[query] = trace["note"]
        weight = float(stage["weight"])
        stages.append(cr.StageScores(stage["stage"], raw, normalised, seen, weight, tuple(reasons)))
    return tuple(stages)
