"""Columns of `Candidates` out of what hnswlib and usearch return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank._lists.base_lists import MOST_NUMBERED, Columns
from crossrank.errors import DuplicateIdError, InputError, UnknownIdError

NOWHERE = np.iinfo(np.uint64).max
"""The label of an empty place, -1 among numbers without a sign."""

SIMILARITIES = {"ip", "cos", "cosine"}
"""Metrics whose distance is 1 minus the similarity; of others the score is minus the distance."""


def hnswlib_columns(
    labels: ArrayLike,
    distances: ArrayLike,
    space: str | None,
    searched: Any,
    query_ids: Sequence[Any] | None,
    candidate_ids: Sequence[Any] | None,
    direction: str | None,
) -> Columns:
    """See `Candidates.from_hnswlib`."""
    who = "from_hnswlib"
    keys, values = _matrix(who, "labels", labels), _matrix(who, "distances", distances)
    if keys.dtype.kind == "f" and values.dtype.kind in "iu":
        raise InputError(
            f"{who}: the labels are {keys.dtype} and the distances {values.dtype}; pass labels "
            "first, then distances, as knn_query returned them"
        )
    metric = space if space is not None else getattr(searched, "space", None)
    return _columns(who, keys, values, None, metric, query_ids, candidate_ids, direction)


def usearch_columns(
    matches: Any,
    metric: str | None,
    searched: Any,
    query_ids: Sequence[Any] | None,
    candidate_ids: Sequence[Any] | None,
    direction: str | None,
) -> Columns:
    """See `Candidates.from_usearch`."""
    who = "from_usearch"
    columns = [getattr(matches, name, None) for name in ("keys", "distances")]
    if any(each is None or callable(each) for each in columns):
        raise InputError(
            f"{who}: {matches!r:.60} is not what index.search returns; it has keys and distances"
        )
    keys, values = (
        np.atleast_2d(_matrix(who, name, each))
        for name, each in zip(("keys", "distances"), columns, strict=True)
    )
    given = getattr(matches, "counts", None)
    counts = None if given is None or callable(given) else np.atleast_1d(np.asarray(given))
    if metric is None and searched is not None:
        metric = str(getattr(searched, "metric_kind", "")).rpartition(".")[2].lower()
    return _columns(who, keys, values, counts, metric, query_ids, candidate_ids, direction)


def _columns(
    who: str,
    keys: NDArray[Any],
    distances: NDArray[Any],
    counts: NDArray[Any] | None,
    metric: str | None,
    query_ids: Sequence[Any] | None,
    candidate_ids: Sequence[Any] | None,
    direction: str | None,
) -> Columns:
    """Return the columns of lists of labels, of which places may be empty."""
    if keys.ndim != 2 or keys.shape != distances.shape:
        raise InputError(
            f"{who}: labels {keys.shape} and distances {distances.shape} must both be [Q, K]"
        )
    if keys.dtype.kind not in "iu" and keys.size:
        raise InputError(f"{who}: labels are {keys.dtype}; they must be whole numbers")
    if metric is not None and not isinstance(metric, str):
        raise InputError(f"{who}: the metric is {metric!r}; give its name, such as 'cos' or 'l2sq'")
    mask = keys >= 0
    if keys.dtype.kind == "u":
        mask = keys.astype(np.uint64) != NOWHERE
    if counts is not None:
        if counts.shape != (len(keys),):
            raise InputError(f"{who}: counts {counts.shape} for {len(keys)} queries")
        mask &= np.arange(keys.shape[1]) < counts[:, None]
    labels = np.where(mask, keys, 0).astype(np.uint64)
    most = int(labels[mask].max(initial=0)) + 1 if mask.any() else 0
    if candidate_ids is None and most > MOST_NUMBERED:
        named = np.unique(labels[mask])  # only those that were found can be named
        index = np.where(mask, np.searchsorted(named, labels), 0).astype(np.int64)
        gallery = tuple(map(str, named.tolist()))
    else:
        gallery = tuple(map(str, range(most) if candidate_ids is None else candidate_ids))
        if most > len(gallery):
            raise UnknownIdError(
                f"{who}: the label {most - 1} is no row of the {len(gallery):,} candidate_ids; "
                "leave candidate_ids out to go by the labels themselves"
            )
        if len(set(gallery)) != len(gallery):
            raise DuplicateIdError(f"{who}: candidate_ids hold an id twice; ids must be unique")
        index = labels.astype(np.int64)
    values = np.where(mask, distances, 0).astype(np.float64)  # elsewhere lies anything
    scores = np.where(mask, 1.0 - values if metric in SIMILARITIES else -values, 0.0)
    queries = tuple(map(str, range(len(index)) if query_ids is None else query_ids))
    return index, scores, mask, queries, gallery, direction


def _matrix(who: str, what: str, given: Any) -> NDArray[Any]:
    try:
        array = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise InputError(f"{who}: {what} must be numbers in rows of one length: {error}") from error
    if array.dtype.kind not in "iuf":
        raise InputError(f"{who}: {what} must be numbers in rows of one length, not {array.dtype}")
    return array
