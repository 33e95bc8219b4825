"""ranx: rankings, qrels and candidates as its ``Run`` and ``Qrels``, and back.

ranx.evaluate(to_qrels(qrels), to_run(rankings), ["mrr", "recall@10"])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import crossrank as cr
from crossrank.plugin.optional import required
from crossrank_hosts._runs import falling, judged


def to_run(rankings: cr.Rankings, name: str = "crossrank") -> Any:
    """Return rankings as a ``ranx.Run``.

    ranx breaks ties by the order of insertion, other tools otherwise: scores fall strictly here, by
    no more than float32 can tell, so that all of them see the order of the rankings.
    """
    return _ranx().Run(falling(rankings.to_run()), name=name)


def base_run(rankings: cr.Rankings, name: str = "base") -> Any:
    """Return the same candidates in their base order, as a ``ranx.Run``."""
    return _ranx().Run(falling(rankings.base_run()), name=name)


def to_qrels(qrels: Mapping[str, str | Iterable[str] | Mapping[str, int]]) -> Any:
    """Return qrels in any form that `crossrank.evaluate` takes as ``ranx.Qrels``."""
    return _ranx().Qrels(judged(qrels))


def candidates(run: Any, **ids: Any) -> cr.Candidates:
    """Return a ``ranx.Run`` as candidates.

    Parameters
    ----------
    run
        Of a base matcher.
    **ids
        See `crossrank.Candidates.from_run`: ``query_ids``, ``candidate_ids``, ``direction``.
    """
    found = {
        str(query): {str(id): float(score) for id, score in dict(scores).items()}
        for query, scores in run.to_dict().items()
    }
    return cr.Candidates.from_run(found, **ids)


def _ranx() -> Any:
    return required("ranx", "ranx", "crossrank_hosts.ranx")
