"""ir-measures: rankings as scored documents or a frame, and back.

ir_measures.calc_aggregate([MRR @ 10], to_qrels(qrels), scored_docs(rankings))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import crossrank as cr
from crossrank.errors import InputError
from crossrank.plugin.optional import required
from crossrank_hosts._call import account
from crossrank_hosts._runs import falling, judged


def scored_docs(rankings: cr.Rankings) -> list[Any]:
    """Return rankings as a list of ``ScoredDoc``, whose scores fall strictly."""
    kind = _ir_measures().ScoredDoc
    return [
        kind(query, id, score)
        for query, scores in falling(rankings.to_run()).items()
        for id, score in scores.items()
    ]


def to_qrels(qrels: Mapping[str, str | Iterable[str] | Mapping[str, int]]) -> list[Any]:
    """Return qrels in any form that `crossrank.evaluate` takes as a list of ``Qrel``."""
    kind = _ir_measures().Qrel
    return [
        kind(query, id, grade)
        for query, grades in judged(qrels).items()
        for id, grade in grades.items()
    ]


def frame(rankings: cr.Rankings) -> Any:
    """Return a pandas frame with a row per hit.

    Its columns are those of ir-measures, ``query_id``, ``doc_id`` and ``score`` (falling strictly),
    and ``rank``, ``relevance_score``, ``base_score``, ``base_rank`` and ``trace``.
    """
    pandas = required("pandas", "ranx", "crossrank_hosts.ir_measures.frame")
    fallen = falling(rankings.to_run())
    rows = [
        {
            "query_id": query,
            "doc_id": hit.id,
            "score": fallen[query][hit.id],
            "rank": hit.rank,
            **account(hit),
        }
        for query, ranking in rankings.items()
        for hit in ranking
    ]
    names = ["query_id", "doc_id", "score", "rank", "relevance_score"]
    return pandas.DataFrame(rows, columns=[*names, "base_score", "base_rank", "trace"])


def candidates(run: Any, **ids: Any) -> cr.Candidates:
    """Return scored documents as candidates.

    Parameters
    ----------
    run
        ``ScoredDoc`` in any iterable, or a frame with ``query_id``, ``doc_id`` and ``score``.
    **ids
        See `crossrank.Candidates.from_run`: ``query_ids``, ``candidate_ids``, ``direction``.

    Raises
    ------
    InputError
        If it is neither.
    """
    columns = getattr(run, "columns", None)
    if columns is not None:
        missing = {"query_id", "doc_id", "score"} - set(columns)
        if missing:
            raise InputError(f"candidates: the frame has no column {', '.join(sorted(missing))}")
        run = run[["query_id", "doc_id", "score"]].itertuples(index=False)
    found: dict[str, dict[str, float]] = {}
    try:
        for query, id, score in run:
            found.setdefault(str(query), {})[str(id)] = float(score)
    except (TypeError, ValueError) as error:
        raise InputError(
            "candidates: give ScoredDoc (query_id, doc_id, score), or a frame with these columns"
        ) from error
    return cr.Candidates.from_run(found, **ids)


def _ir_measures() -> Any:
    return required("ir_measures", "ranx", "crossrank_hosts.ir_measures")
