"""CLIP_benchmark: rankings as the matrices that its ``recall_at_k`` takes.

    scores, pairs = scores_and_pairs(rankings, qrels)
    recall = (recall_at_k(scores, pairs, 5) > 0).float().mean()

CLIP_benchmark itself is not imported; installing it replaces a CPU build of torch, unless by
``pip install --no-deps clip_benchmark``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.errors import UnknownIdError
from crossrank.plugin.optional import required
from crossrank_hosts._runs import judged


def scores_and_pairs(
    rankings: cr.Rankings, qrels: Mapping[str, str | Iterable[str] | Mapping[str, int]]
) -> tuple[Any, Any]:
    """Return rankings and qrels as tensors.

    Parameters
    ----------
    rankings
        Of texts over pictures, or the other way.
    qrels
        In any form that `crossrank.evaluate` takes.

    Returns
    -------
    tuple of Tensor
        ``[Q, N]`` float64 scores, −inf for what was not ranked, and ``[Q, N]`` bool: which
        candidates belong to a query.

    Raises
    ------
    UnknownIdError
        If a query of the rankings is not judged, or a judged candidate is not in the gallery.
    """
    torch = required("torch", "filip", "crossrank_hosts.clip_benchmark")
    place = {id: column for column, id in enumerate(rankings.candidate_ids)}
    grades = judged(qrels)
    pairs = np.zeros((len(rankings), len(place)), np.bool_)
    for row, query in enumerate(rankings):
        if query not in grades:
            raise UnknownIdError(f"scores_and_pairs: the query {query!r} has no judgement")
        for id, grade in grades[query].items():
            if id not in place:
                raise UnknownIdError(
                    f"scores_and_pairs: the gallery has no {id!r}, which belongs to {query!r}"
                )
            pairs[row, place[id]] = grade > 0
    return torch.from_numpy(rankings.to_similarity()), torch.from_numpy(pairs)
