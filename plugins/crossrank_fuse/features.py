"""What a learned fusion sees of a pair: the base score and every stage's, each on one scale."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError

Floats: TypeAlias = NDArray[np.float64]
Booleans: TypeAlias = NDArray[np.bool_]

BASE = "base"


def feature_names(rankings: cr.Rankings) -> tuple[str, ...]:
    """Return what `features` returns columns of: the base, and the stages by name."""
    return (BASE, *(stage.name for stage in rankings.stages))


def features(rankings: cr.Rankings) -> Floats:
    """Return ``[Q, K, F]`` z-scores per list, in the places of the rankings.

    What a stage did not see counts as the worst that it saw in that list, what it abstained on as
    its mean.  Without base scores, minus the base rank stands for them.

    Raises
    ------
    InputError
        Without a stage: a run file holds final scores only.
    """
    if not rankings.stages:
        raise InputError(
            "fuse: the results hold no scores of stages; give rankings.safetensors of "
            "crossrank rerank --out"
        )
    base = rankings.base_scores
    if base is None:
        base = -rankings.base_ranks.astype(np.float64)
    columns = [zscores(base, rankings.mask, rankings.mask)]
    for stage in rankings.stages:
        scored = rankings.mask & ~np.isnan(stage.raw)
        columns.append(zscores(stage.raw.astype(np.float64), scored, stage.seen))
    return np.stack(columns, axis=2)


def zscores(values: Floats, scored: Booleans, seen: Booleans) -> Floats:
    """Return ``[Q, K]`` z-scores over the scored pairs; see `features` for the others."""
    count = np.maximum(scored.sum(axis=1, keepdims=True), 1)
    known = np.where(scored, values, 0.0)
    away = np.where(scored, values - known.sum(axis=1, keepdims=True) / count, 0.0)
    deviation = np.sqrt((away**2).sum(axis=1, keepdims=True) / count)
    z = away / np.where(deviation > 0, deviation, 1.0)
    worst = np.min(np.where(scored, z, 0.0), axis=1, keepdims=True, initial=0.0)
    return np.where(seen, z, np.broadcast_to(worst, z.shape))


def relevance(rankings: cr.Rankings, judged: dict[str, dict[str, int]]) -> Booleans:
    """Return ``[Q, K]`` which hits are relevant."""
    relevant = np.zeros(rankings.mask.shape, np.bool_)
    for row, query in enumerate(rankings.query_ids):
        good = {id for id, value in judged.get(query, {}).items() if value > 0}
        for place in np.flatnonzero(rankings.mask[row]):
            relevant[row, place] = (
                rankings.candidate_ids[rankings.index[row, place]] in good if good else False
            )
    return relevant


def mean_reciprocal_rank(scores: Floats, mask: Booleans, relevant: Booleans) -> float:
    """Return the mean over lists of 1 / rank of the first relevant hit, 0 where there is none.

    Of equal scores the earlier place is the better.
    """
    if not len(scores):
        return 0.0
    known = np.where(mask, scores, -np.inf)
    own = np.where(relevant, known, -np.inf)
    best = own.max(axis=1, keepdims=True, initial=-np.inf)
    first = np.argmax(own, axis=1)
    places = np.arange(scores.shape[1])
    above = (known > best) | ((known == best) & (places < first[:, None]))
    found = relevant.any(axis=1)
    return float(np.where(found, 1 / (1 + above.sum(axis=1)), 0.0).mean())
