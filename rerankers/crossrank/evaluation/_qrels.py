"""Relevance judgements in the forms people have them, and the clusters of queries they make."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossrank._files.trec import Qrels, read_qrels
from crossrank.errors import InputError, UnknownIdError

QrelsLike: TypeAlias = Mapping[str, str | Iterable[str] | Mapping[str, int]] | str | Path
"""Query → relevant ids (one str, a set, a list, or a mapping to whole numbers), or a TREC file."""


def as_qrels(qrels: QrelsLike) -> Qrels:
    """Return judgements as ``{query id: {candidate id: relevance}}``.

    Parameters
    ----------
    qrels
        A mapping from query to the id of its relevant item, to a set or list of them, or to a
        mapping ``{id: relevance}`` where numbers above 0 are relevant; or the path of a TREC qrels
        file.

    Raises
    ------
    InputError
        If there is no query, or a judgement that cannot be read.
    FormatError
        On a file that cannot be read.
    """
    if not isinstance(qrels, str | Path | Mapping):
        raise InputError(
            f"evaluate: the qrels are {qrels!r:.60}; give a file or {{query id: relevant ids}}"
        )
    judged = (
        read_qrels(Path(qrels))
        if isinstance(qrels, str | Path)
        else {str(query): _judgements(str(query), members) for query, members in qrels.items()}
    )
    if not judged:
        raise InputError("evaluate: the qrels hold no query")
    return judged


def relevant_sets(qrels: Qrels, queries: Iterable[str]) -> list[frozenset[str]]:
    """Return the relevant ids of each query."""
    return [frozenset(id for id, value in qrels[query].items() if value > 0) for query in queries]


def clusters_by_relevance(relevant: Iterable[frozenset[Hashable]]) -> NDArray[np.int64]:
    """Return ``[Q]`` a number per query, the same for queries with the same relevant items.

    Five captions of one image share its set, so for text queries these are the images.  A query
    without a relevant item stands alone.
    """
    numbers: dict[Hashable, int] = {}
    keys = (items if items else row for row, items in enumerate(relevant))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def cluster_folds(clusters: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Return ``[Q]`` in which fold each query is; those of a cluster are in the same one.

    Whatever is fitted on some queries is measured on those of another fold.  The seed draws them;
    there are never more than clusters.
    """
    names, of_queries = np.unique(clusters, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return np.asarray(order[of_queries] % min(folds, len(names)), np.int64)


def clusters_given(clusters: Mapping[str, Hashable], queries: Sequence[str]) -> NDArray[np.int64]:
    """Return ``[Q]`` a number per query for the labels that the caller gave, one for each query."""
    if not isinstance(clusters, Mapping):
        raise InputError(f"evaluate: clusters are {clusters!r:.80}; give {{query id: cluster}}")
    missing = [query for query in queries if query not in clusters]
    if missing:
        raise UnknownIdError(
            f"evaluate: clusters name no cluster for {len(missing)} queries, such as "
            f"{missing[0]!r}; give one for every query of the qrels"
        )
    numbers: dict[Hashable, int] = {}
    return np.array(
        [numbers.setdefault(clusters[query], len(numbers)) for query in queries], np.int64
    )


def _judgements(query: str, members: str | Iterable[str] | Mapping[str, int]) -> dict[str, int]:
    if isinstance(members, str):
        return {members: 1}
    if isinstance(members, Mapping):
        return {str(id): _whole(query, id, value) for id, value in members.items()}
    if isinstance(members, Iterable):
        return {str(id): 1 for id in members}
    raise InputError(
        f"evaluate: the qrels of query {query!r} are a {type(members).__name__}; give a set or "
        "list of relevant ids, or a mapping from id to relevance"
    )


def _whole(query: str, id: object, value: float) -> int:
    if isinstance(value, int | float | np.number | np.bool_) and value == np.floor(value):
        return int(value)
    raise InputError(
        f"evaluate: the relevance of {id!r} for query {query!r} is {value!r}; "
        "give a whole number, above 0 for relevant"
    )
