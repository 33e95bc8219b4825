"""Vespa: a response of ``app.query`` in, a response with better hits out.

best = rerank_response("a dog in the water", app.query(yql=…))
"""

from __future__ import annotations

import copy
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
    """Rerank the hits of a query.

    Parameters
    ----------
    query
        A text, `Path`, PIL image or `crossrank.Item`.
    response
        What ``app.query`` returned, or its JSON; ``relevance`` is the base.
    reranker, **settings
        See `crossrank.rerank`: ``encoder``, ``fusion``, ``weight``, ``score_threshold``, ``device``
        and the reranker's parameters; and ``gallery`` and ``show``, see docs/hosts.md.
    top_k
        How many hits to return; all by default.
    image_key, text_key
        Which fields name the picture, and have the text.

    Returns
    -------
    VespaQueryResponse or dict
        What was given, in new objects: ``relevance`` is new, and the fields have
        ``relevance_score``, ``base_score``, ``base_rank`` and ``trace`` too.

    Raises
    ------
    InputError
        If it is no such response.
    """
    mend = "rerank_response: give the response of app.query, with its root"
    query, response, root = told_apart(query, response, _root, mend)
    hits = root.get("children") or []
    found = [_found(each, image_key, text_key) for each in hits]
    best = SecondLook.of(reranker, settings)(query, found, top_k)
    new = {**root, "children": [_copied(hits[hit.index], hit) for hit in best]}
    if isinstance(response, Mapping):
        return {**response, "root": new}
    made = copy.copy(response)
    made.json = {**response.json, "root": new}
    return made


arerank_response = in_a_thread(rerank_response)


def _root(response: Any) -> Mapping[str, Any] | None:
    body = response if isinstance(response, Mapping) else getattr(response, "json", None)
    root = body.get("root") if isinstance(body, Mapping) else None
    return root if isinstance(root, Mapping) else None


def _found(hit: Mapping[str, Any], image_key: str | None, text_key: str | None) -> Found:
    fields = hit.get("fields") or {}
    id = fields.get("id", hit.get("id"))
    return Found(str(id), *shown_in(fields, image_key, text_key), hit.get("relevance"))


def _copied(hit: Mapping[str, Any], told: cr.Hit) -> dict[str, Any]:
    fields = {**(hit.get("fields") or {}), **account(told)}
    return {**hit, "relevance": told.score, "fields": fields}
