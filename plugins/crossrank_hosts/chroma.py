"""Chroma: the result of ``collection.query`` in, the same with every column in the new order out.

    best = rerank_result("a dog in the water", collection.query(query_texts=[…]))

Chroma itself is not imported: its result is a dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossrank.errors import InputError
from crossrank_hosts._call import Found, SecondLook, account, in_a_thread, told_apart
from crossrank_hosts._contents import picture_in, shown

COLUMNS = ("ids", "embeddings", "documents", "uris", "metadatas", "data", "distances")
"""Those of a result that hold one list per query."""


def rerank_result(
    query: Any,
    result: Mapping[str, Any],
    reranker: Any = "filip",
    *,
    top_k: int | None = None,
    image_key: str | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Rerank what ``collection.query`` returned.

    Parameters
    ----------
    query
        The query, or one for each list of the result.
    result
        A `QueryResult`; its distances, which are smaller for what is nearer, are the base.
    reranker, **settings
        See `crossrank.rerank`: ``encoder``, ``fusion``, ``weight``, ``score_threshold``, ``device``
        and the reranker's parameters; and ``gallery`` and ``show``, see docs/hosts.md.
    top_k
        How many of each list to return; all by default.
    image_key
        The metadata that name the picture, for results without ``uris`` and ``data``.

    Returns
    -------
    dict
        A `QueryResult` whose columns are all in the new order, with ``relevance_score``,
        ``base_score`` (minus the distance), ``base_rank`` and ``trace`` among the metadata.

    Raises
    ------
    InputError
        If it is no such result, or has another number of lists than there are queries.
    """
    mend = "rerank_result: give the result of collection.query, with its ids"
    query, result, _ = told_apart(query, result, _lists, mend)
    queries = list(query) if isinstance(query, list | tuple) else [query]
    if len(queries) != len(result["ids"]):
        raise InputError(
            f"rerank_result: {len(queries)} queries, but {len(result['ids'])} lists of results"
        )
    rows = [_rows(result, place) for place in range(len(queries))]
    found = [[_found(row, image_key) for row in each] for each in rows]
    hits = SecondLook.of(reranker, settings).many(queries, found, top_k)
    best = dict(result)
    for name in COLUMNS:
        if result.get(name) is not None:
            best[name] = [
                _taken(column, [hit.index for hit in each])
                for column, each in zip(result[name], hits, strict=True)
            ]
    best["metadatas"] = [
        [{**(row[hit.index].get("metadatas") or {}), **account(hit)} for hit in each]
        for row, each in zip(rows, hits, strict=True)
    ]
    return best


arerank_result = in_a_thread(rerank_result)


def _lists(result: Any) -> list[list[str]] | None:
    ids = result.get("ids") if isinstance(result, Mapping) else None
    return ids if isinstance(ids, list) and all(isinstance(each, list) for each in ids) else None


def _rows(result: Mapping[str, Any], place: int) -> list[dict[str, Any]]:
    columns = {name: result[name][place] for name in COLUMNS if result.get(name) is not None}
    return [
        {name: column[row] for name, column in columns.items()}
        for row in range(len(columns["ids"]))
    ]


def _found(row: Mapping[str, Any], image_key: str | None) -> Found:
    image = row.get("data")
    if image is None:
        image = row.get("uris")
    if image is None:
        image = picture_in(row.get("metadatas") or {}, image_key)
    distance = row.get("distances")
    score = None if distance is None else -distance
    return Found(row["ids"], *shown(image, row.get("documents")), score)


def _taken(column: Any, places: Sequence[int]) -> Any:
    """Take places of a column, which is a list or, for embeddings, an array."""
    return [column[place] for place in places] if isinstance(column, list) else column[places]
