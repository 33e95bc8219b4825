"""Columns of `Candidates` out of what indexes of vectors return: faiss, hnswlib, usearch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank._items.ids import check_distinct
from crossrank._lists.base_lists import Columns, names_of, numbers
from crossrank.errors import InputError, UnknownIdError

MOST_NUMBERED = 10_000_000
"""More candidates are not called by their rows one by one: a name takes some sixty bytes."""

NOWHERE = np.iinfo(np.uint64).max
"""The label of an empty place, -1 among numbers without a sign."""

SIMILARITIES = {"ip", "cos", "cosine"}
"""Metrics whose distance is 1 minus the similarity; of others the score is minus the distance."""


def faiss_columns(
    distances: ArrayLike,
    labels: ArrayLike,
    metric: str | None,
    searched: Any,
    query_ids: Sequence[Any] | None,
    candidate_ids: Sequence[Any] | None,
    direction: str | None,
) -> Columns:
    """See `Candidates.from_faiss`."""
    who = "from_faiss"
    values, given = numbers(who, "distances", distances), np.asarray(labels)
    if given.dtype.kind not in "iu" and given.size:
        raise InputError(
            f"{who}: labels are {given.dtype}, not whole numbers; pass distances first, then "
            "labels, as index.search returned them"
        )
    if given.dtype.kind == "u" and given.max(initial=0) > np.iinfo(np.int64).max:
        raise InputError(
            f"{who}: the label {given.max()} has no place in 64 bits with a sign; give labels "
            "below 2**63"
        )
    index = given.astype(np.int64)
    if index.ndim != 2 or values.shape != index.shape:
        raise InputError(
            f"{who}: distances {values.shape} and labels {index.shape} must both be [Q, K]; "
            "pass them as index.search returned them: distances first"
        )
    mask = index >= 0
    metric = _metric_of(metric, searched, np.where(mask, values, -np.inf))
    index, gallery = _rows(who, index, mask, candidate_ids)
    scores = values if metric == "ip" else -values
    return index, scores, mask, names_of(query_ids, len(index)), gallery, direction


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
        raise InputError(
            f"{who}: the metric is {metric!r:.80}; give its name, such as 'cos' or 'l2sq'"
        )
    mask = keys >= 0
    if keys.dtype.kind == "u":
        mask = keys.astype(np.uint64) != NOWHERE
    if counts is not None:
        if counts.shape != (len(keys),):
            raise InputError(f"{who}: counts {counts.shape} for {len(keys)} queries")
        mask &= np.arange(keys.shape[1]) < counts[:, None]
    labels = np.where(mask, keys, 0).astype(np.uint64)
    index, gallery = _rows(who, labels, mask, candidate_ids)
    values = np.where(mask, distances, 0).astype(np.float64)  # elsewhere lies anything
    scores = np.where(mask, 1.0 - values if metric in SIMILARITIES else -values, 0.0)
    return index, scores, mask, names_of(query_ids, len(index)), gallery, direction


def _rows(
    who: str, labels: NDArray[Any], mask: NDArray[np.bool_], candidate_ids: Sequence[Any] | None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the gallery rows of labels, and the gallery's ids."""
    most = int(labels[mask].max(initial=0)) + 1 if mask.any() else 0
    if candidate_ids is None and most > MOST_NUMBERED:
        named = np.unique(labels[mask])  # only those that were found can be named
        index = np.where(mask, np.searchsorted(named, labels), 0)
        return index.astype(np.int64), tuple(map(str, named.tolist()))
    gallery = names_of(candidate_ids, most)
    if most > len(gallery):
        raise UnknownIdError(
            f"{who}: the label {most - 1} is no row of the {len(gallery):,} candidate_ids; what "
            "gives labels of its own, as an IndexIDMap does, is read without candidate_ids"
        )
    check_distinct(who, gallery)
    return labels.astype(np.int64), gallery


def _metric_of(metric: str | None, searched: Any, values: NDArray[Any]) -> str:
    """Return ``"ip"`` or ``"l2"``, as it is said, as the index says, or as the order shows.

    faiss lists the best first: inner products fall, distances rise.
    """
    if metric is None and searched is not None:
        known = {0: "ip", 1: "l2"}  # faiss.METRIC_INNER_PRODUCT and METRIC_L2
        metric = known.get(int(getattr(searched, "metric_type", -1)))
    elif metric is None:
        if values.ndim == 2 and (np.diff(values, axis=1) > 0).any():
            raise InputError(
                "from_faiss: the distances rise, as those of an L2 index do; taken for inner "
                "products they would turn the lists round: give metric='l2' (or 'ip'), or index=, "
                "the index that was searched"
            )
        metric = "ip"
    if metric not in ("ip", "l2"):
        raise InputError(f"from_faiss: metric is {metric!r:.80}; give 'ip' or 'l2'")
    return metric


def _matrix(who: str, what: str, given: Any) -> NDArray[Any]:
    try:
        array = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise InputError(f"{who}: {what} must be numbers in rows of one length: {error}") from error
    if array.dtype.kind not in "iuf":
        raise InputError(f"{who}: {what} must be numbers in rows of one length, not {array.dtype}")
    return array
