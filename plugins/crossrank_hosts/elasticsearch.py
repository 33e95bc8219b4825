"""Elasticsearch: a response of ``client.search`` in, a response with better hits out.

best = rerank_response("a dog in the water", client.search(index="photos", query=…))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import crossrank as cr
from crossrank_hosts._call import Found, SecondLook, account, in_a_thread, told_apart
from crossrank_hosts._contents import shown_in


def rerank_response(
    query: Any,
    response: Any,
    reranker: Any = "filip",
    *,
    top_k: int | None = None,
    image_key: str | None = None,
    text_key: str | None = None,
    **settings: Any,
) -> Any:
    """Rerank the hits of a search.

    Parameters
    ----------
    query
        A text, `Path`, PIL image or `crossrank.Item`.
    response
        What ``client.search`` returned, or its body.  Hits without a score, as a search by a field
        returns them, are taken in their order.
    reranker, **settings
        See `crossrank.rerank`: ``encoder``, ``fusion``, ``weight``, ``score_threshold``, ``device``
        and the reranker's parameters; and ``gallery`` and ``show``, see docs/hosts.md.
    top_k
        How many hits to return; all by default.
    image_key, text_key
        Which fields of ``_source`` name the picture, and have the text.

    Returns
    -------
    ObjectApiResponse or dict
        What was given, in new objects: ``_score`` and ``max_score`` are new, and ``_source`` has
        ``relevance_score``, ``base_score``, ``base_rank`` and ``trace`` too.

    Raises
    ------
    InputError
        If it is no such response.
    """
    mend = "rerank_response: give the response of client.search, with its hits"
    query, response, hits = told_apart(query, response, _hits, mend)
    found = [_found(each, image_key, text_key) for each in hits]
    best = SecondLook.of(reranker, settings)(query, found, top_k)
    body = dict(_body(response))
    body["hits"] = {
        **body["hits"],
        "hits": [_copied(hits[hit.index], hit) for hit in best],
        "max_score": best[0].score if best else None,
    }
    if not hasattr(response, "body"):
        return body
    return type(response)(body=body, meta=response.meta)


arerank_response = in_a_thread(rerank_response)


def _body(response: Any) -> Mapping[str, Any]:
    body: Mapping[str, Any] = getattr(response, "body", response)
    return body


def _hits(response: Any) -> list[dict[str, Any]] | None:
    body = _body(response)
    outer = body.get("hits") if isinstance(body, Mapping) else None
    hits = outer.get("hits") if isinstance(outer, Mapping) else None
    return hits if isinstance(hits, list) else None


def _found(hit: Mapping[str, Any], image_key: str | None, text_key: str | None) -> Found:
    shown = shown_in(hit.get("_source") or {}, image_key, text_key)
    return Found(str(hit.get("_id")), *shown, hit.get("_score"))


def _copied(hit: Mapping[str, Any], told: cr.Hit) -> dict[str, Any]:
    source = {**(hit.get("_source") or {}), **account(told)}
    return {**hit, "_score": told.score, "_source": source}
