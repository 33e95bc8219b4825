"""The dialects: a route and a JSON object tell how a request is read and how it is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crossrank_serve.dialects.reading import read_rerank, read_score, read_tei
from crossrank_serve.dialects.writing import (
    write_cohere_v2,
    write_either,
    write_rerank,
    write_score,
    write_tei,
    write_voyage,
)
from crossrank_serve.records import Ranked, Request

Writer = Callable[[Request, Sequence[Ranked], str, str], Any]
Dialect = tuple[Callable[[Mapping[str, Any]], Request], Writer]


def dialect_of(route: str, body: Mapping[str, Any]) -> Dialect:
    """Return how a request is read and answered.

    Parameters
    ----------
    route
        ``"/v1/rerank"``, ``"/v2/rerank"``, ``"/rerank"``, ``"/score"`` or ``"/v1/score"``.
    body
        What was sent; nulls count only for Voyage, whose client always sends ``top_k``.
    """
    if route.endswith("/score"):
        return read_score, write_score
    if route == "/v2/rerank":
        return read_rerank, write_cohere_v2
    if route == "/rerank":
        return (read_tei, write_tei) if "texts" in body else (read_rerank, write_rerank)
    if "top_k" in body and body.get("top_n") is None:
        return read_rerank, write_voyage
    return read_rerank, (write_either if body.get("top_n") is None else write_rerank)


def adapted(route: str, body: dict[str, Any], agent: str) -> dict[str, Any]:
    """Return what is meant by a client that does not say it.

    litellm sends one request to ``/rerank`` for two providers, and reads a document in the answer
    as an object for one of them (vLLM) and as a string for the other (Infinity): it gets none.
    """
    if route == "/rerank" and agent.startswith("litellm/"):
        return {key: value for key, value in body.items() if key != "return_documents"}
    return body


__all__ = ["Dialect", "Writer", "adapted", "dialect_of"]
