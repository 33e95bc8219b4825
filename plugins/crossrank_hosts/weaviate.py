"""Weaviate: the objects of a query in, objects of the same type in a better order out.

best = rerank_objects("a dog in the water", photos.query.near_vector(vector, limit=100))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import crossrank as cr
from crossrank_hosts._call import Found, SecondLook, account, in_a_thread, told_apart
from crossrank_hosts._contents import shown_in
from crossrank_hosts._vectors import stored_tokens


def rerank_objects(
    query: Any,
    objects: Any,
    reranker: Any = "filip",
    *,
    top_k: int | None = None,
    image_key: str | None = None,
    text_key: str | None = None,
    tokens: str | None = None,
    **settings: Any,
) -> Any:
    """Rerank the objects of a query.

    Parameters
    ----------
    query
        A text, `Path`, PIL image or `crossrank.Item`.
    objects
        A list of ``Object``, or a whole ``QueryReturn``.  The base is their score, minus their
        distance, or their certainty, whichever was asked for (``return_metadata=``).
    reranker, **settings
        See `crossrank.rerank`: ``encoder``, ``fusion``, ``weight``, ``score_threshold``, ``device``
        and the reranker's parameters; and ``gallery`` and ``show``, see docs/hosts.md.
    top_k
        How many to return; all by default.
    image_key, text_key
        Which properties name the picture (or are its base64), and have the text.
    tokens
        The name of the multivector with an object's tokens, made by the same encoder; by default
        the only multivector among its vectors (``include_vector=True``).

    Returns
    -------
    list or QueryReturn
        What was given, in new objects, with ``relevance_score``, ``base_score``, ``base_rank`` and
        ``trace`` among the properties, and the score as ``metadata.rerank_score``.
    """
    mend = "rerank_objects: give a list of objects, or the return with them"
    query, objects, given = told_apart(query, objects, _objects, mend)
    found = [_found(each, image_key, text_key, tokens) for each in given]
    hits = SecondLook.of(reranker, settings)(query, found, top_k)
    best = [_copied(given[hit.index], hit) for hit in hits]
    return best if given is objects else dataclasses.replace(objects, objects=best)


arerank_objects = in_a_thread(rerank_objects)


def _objects(value: Any) -> Sequence[Any] | None:
    given = getattr(value, "objects", value)
    if isinstance(given, Sequence) and all(hasattr(each, "properties") for each in given):
        return given
    return None


def _found(each: Any, image_key: str | None, text_key: str | None, tokens: str | None) -> Found:
    stored = stored_tokens(each.vector, tokens)
    features = {} if stored is None else {"tokens": stored}
    shown = shown_in(each.properties or {}, image_key, text_key)
    return Found(str(each.uuid), *shown, _score(each.metadata), features)


def _score(metadata: Any) -> float | None:
    distance = getattr(metadata, "distance", None)
    known = (
        getattr(metadata, "score", None),
        None if distance is None else -distance,
        getattr(metadata, "certainty", None),
    )
    return next((each for each in known if each is not None), None)


def _copied(each: Any, hit: cr.Hit) -> Any:
    metadata = each.metadata
    if dataclasses.is_dataclass(metadata) and hasattr(metadata, "rerank_score"):
        metadata = dataclasses.replace(metadata, rerank_score=hit.score)  # type: ignore[type-var]
    properties = {**(each.properties or {}), **account(hit)}
    return dataclasses.replace(each, properties=properties, metadata=metadata)
