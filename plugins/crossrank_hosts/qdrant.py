"""Qdrant: scored points in, points of the same type in a better order out.

    best = rerank_points("a dog in the water", client.query_points("photos", vector).points)

Multivectors that were stored with the points are their tokens, so that no picture is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossrank_hosts._call import Found, SecondLook, account, in_a_thread, told_apart
from crossrank_hosts._contents import shown_in
from crossrank_hosts._vectors import stored_tokens


def rerank_points(
    query: Any,
    points: Any,
    reranker: Any = "filip",
    *,
    top_k: int | None = None,
    image_key: str | None = None,
    text_key: str | None = None,
    tokens: str | None = None,
    distances: bool = False,
    **settings: Any,
) -> Any:
    """Rerank the points of a search.

    Parameters
    ----------
    query
        A text, `Path`, PIL image or `crossrank.Item`.
    points
        A list of `ScoredPoint` or `Record`, or a whole `QueryResponse`.
    reranker, **settings
        See `crossrank.rerank`: ``encoder``, ``fusion``, ``weight``, ``score_threshold``, ``device``
        and the reranker's parameters; and ``gallery`` and ``show``, see docs/hosts.md.
    top_k
        How many to return; all by default.
    image_key, text_key
        Where the payload names the picture, or has the text.
    tokens
        The name of the multivector with a point's tokens, made by the same encoder; by default the
        only multivector among its vectors.  The search must ask for it: ``with_vectors=True``.
    distances
        Whether the scores are distances, smaller for what is nearer, as in a Euclid collection.

    Returns
    -------
    list or QueryResponse
        What was given, in new objects, with ``relevance_score``, ``base_score``, ``base_rank`` and
        ``trace`` in the payload.
    """
    mend = "rerank_points: give a list of points, or the response with them"
    query, points, given = told_apart(query, points, _points, mend)
    found = [_found(each, image_key, text_key, tokens, distances) for each in given]
    hits = SecondLook.of(reranker, settings)(query, found, top_k)
    best = [_copied(given[hit.index], account(hit)) for hit in hits]
    return best if given is points else points.model_copy(update={"points": best})


arerank_points = in_a_thread(rerank_points)


def _points(value: Any) -> Sequence[Any] | None:
    given = getattr(value, "points", value)
    if isinstance(given, Sequence) and all(hasattr(each, "payload") for each in given):
        return given
    return None


def _found(
    point: Any, image_key: str | None, text_key: str | None, tokens: str | None, distances: bool
) -> Found:
    score = getattr(point, "score", None)
    if score is not None and distances:
        score = -score
    stored = stored_tokens(point.vector, tokens)
    features = {} if stored is None else {"tokens": stored}
    shown = shown_in(point.payload or {}, image_key, text_key)
    return Found(str(point.id), *shown, score, features)


def _copied(point: Any, told: dict[str, Any]) -> Any:
    changed: dict[str, Any] = {"payload": {**(point.payload or {}), **told}}
    if hasattr(point, "score"):
        changed["score"] = told["relevance_score"]
    return point.model_copy(update=changed)
