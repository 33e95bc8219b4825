"""Fitting a fusion, and what it is worth on queries it was not fitted on."""

from __future__ import annotations

import numpy as np

import crossrank as cr
from crossrank.errors import InputError
from crossrank.evaluation import (
    QrelsLike,
    as_qrels,
    cluster_folds,
    clusters_by_relevance,
    relevant_sets,
)
from crossrank.plugin.parameters import checked, integer, one_of
from crossrank_fuse.coordinate import coordinate_search
from crossrank_fuse.features import Booleans, Floats, feature_names, features, relevance
from crossrank_fuse.lambdamart import fit_lambdamart
from crossrank_fuse.learned import LearnedFusion, reordered


def fit(rankings: cr.Rankings, qrels: QrelsLike, method: str = "weights") -> LearnedFusion:
    """Fit one rule for the scores of all stages.

    Parameters
    ----------
    rankings
        Results with the scores of their stages.
    qrels
        See `crossrank.evaluate`.
    method
        ``"weights"``: of a sum of z-scores, by coordinate search for the mean reciprocal rank;
        ``"lambdamart"``: trees, by LightGBM.

    Raises
    ------
    InputError
        If no query is judged, or nothing relevant stands beside something else in any list.
    ParameterError
        On another method.
    MissingPackageError
        Without lightgbm.
    """
    columns, relevant = features(rankings), _judged(rankings, qrels)
    return _fitted(method, feature_names(rankings), columns, rankings.mask, relevant)


def cross_fitted(
    rankings: cr.Rankings,
    qrels: QrelsLike,
    method: str = "weights",
    *,
    folds: int = 5,
    seed: int = 0,
) -> cr.Rankings:
    """Return rankings in which each query is fused by a rule that was fitted without it.

    Parameters
    ----------
    rankings, qrels, method
        As for `fit`.
    folds
        How many parts; queries with the same relevant items are in the same one.
    seed
        Of the parts.

    Raises
    ------
    InputError, ParameterError, MissingPackageError
        As `fit`.
    """
    checked("fuse", "folds", folds, integer(2))
    judged, names = as_qrels(qrels), feature_names(rankings)
    columns, relevant = features(rankings), _judged(rankings, qrels)
    known = {query: judged.get(query, {}) for query in rankings.query_ids}
    clusters = clusters_by_relevance(relevant_sets(known, rankings.query_ids))
    part = cluster_folds(clusters, folds, seed)
    if not part.any():
        raise InputError("fuse: one query cannot be fitted without itself; give more")
    scores = np.zeros(rankings.mask.shape)
    for fold in range(int(part.max()) + 1):
        without, within = np.flatnonzero(part != fold), np.flatnonzero(part == fold)
        rule = _fitted(method, names, columns[without], rankings.mask[without], relevant[without])
        scores[within] = rule.scores(rankings.take(within.tolist()))
    return reordered(rankings, scores)


def _judged(rankings: cr.Rankings, qrels: QrelsLike) -> Booleans:
    judged = as_qrels(qrels)
    if not any(query in judged for query in rankings.query_ids):
        raise InputError("fuse: no query of the results is judged; give the qrels that belong here")
    return relevance(rankings, judged)


def _fitted(
    method: str, names: tuple[str, ...], columns: Floats, mask: Booleans, relevant: Booleans
) -> LearnedFusion:
    checked("fuse", "method", method, one_of("weights", "lambdamart"))
    if not (relevant.any(axis=1) & (mask & ~relevant).any(axis=1)).any():
        raise InputError(
            "fuse: no list holds something relevant beside something else; there is nothing to "
            "learn from"
        )
    if method == "weights":
        weights = coordinate_search(columns, mask, relevant)
        return LearnedFusion(method, names, tuple(map(float, weights)))
    return LearnedFusion(method, names, model=fit_lambdamart(columns, mask, relevant))
