"""Answers in every dialect: functions of a request and what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from crossrank import Evidence, Hit
from crossrank_serve.dialects.spans import relevant_regions, relevant_spans
from crossrank_serve.records import Ask, Content, Ranked, Request, Spans

Answer = dict[str, Any]


def write_rerank(request: Request, ranked: Sequence[Ranked], model: str, id: str) -> Answer:
    """Answer as Jina, Cohere and vLLM do, each of whose clients finds its own fields."""
    tokens = ranked[0].tokens
    return {
        "id": id,
        "object": "list",
        "model": model,
        "results": _results(request, ranked[0]),
        "usage": {"total_tokens": tokens, "prompt_tokens": tokens},
        "meta": _meta(request, ranked, "1"),
    }


def write_either(request: Request, ranked: Sequence[Ranked], model: str, id: str) -> Answer:
    """Answer one that says neither ``top_n`` nor ``top_k``: Voyage's ``data`` is there too."""
    answer = write_rerank(request, ranked, model, id)
    return {**answer, "data": answer["results"]}


def write_cohere_v2(request: Request, ranked: Sequence[Ranked], model: str, id: str) -> Answer:
    """Answer as Cohere's second version does."""
    return {
        "id": id,
        "model": model,
        "results": _results(request, ranked[0]),
        "meta": _meta(request, ranked, "2"),
    }


def write_voyage(request: Request, ranked: Sequence[Ranked], model: str, id: str) -> Answer:
    """Answer as Voyage does: the results are ``data``, a document is its text."""
    results = _results(request, ranked[0])
    for result in results:
        document = result.get("document")
        if document is not None and set(document) == {"text"}:
            result["document"] = document["text"]
    return {
        "object": "list",
        "data": results,
        "model": model,
        "usage": {"total_tokens": ranked[0].tokens},
        "meta": _meta(request, ranked, "1"),
    }


def write_tei(request: Request, ranked: Sequence[Ranked], model: str, id: str) -> list[Answer]:
    """Answer as TEI does: a bare list, best first."""
    results = []
    for result in _results(request, ranked[0]):
        entry = {"index": result.pop("index"), "score": result.pop("relevance_score")}
        document = result.pop("document", None)
        if document is not None:
            entry["text"] = document.get("text")
        results.append({**entry, **result})
    return results


def write_score(request: Request, ranked: Sequence[Ranked], model: str, id: str) -> Answer:
    """Answer as vLLM's score does: one score per pair, in their order."""
    data: list[Answer] = []
    for ask, each in zip(request.asks, ranked, strict=True):
        for hit in sorted(each.hits, key=lambda hit: hit.index):
            entry = {"index": len(data), "object": "score", "score": hit.score}
            data.append(entry | _extras(request, ask, each, hit))
    tokens = sum(each.tokens for each in ranked)
    return {
        "id": id,
        "object": "list",
        "created": int(time.time()),
        "model": model,
        "data": data,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0},
    }


def _results(request: Request, ranked: Ranked) -> list[Answer]:
    (ask,) = request.asks
    results = []
    for hit in ranked.hits[: request.top]:
        result: Answer = {"index": hit.index, "relevance_score": hit.score}
        if request.documents is not None:
            result["document"] = request.documents[hit.index]
        results.append(result | _extras(request, ask, ranked, hit))
    return results


def _extras(request: Request, ask: Ask, ranked: Ranked, hit: Hit) -> Answer:
    """Return what is ours: the base score is kept, and evidence stands beside a hit."""
    extras: Answer = {}
    evidence = ranked.evidence.get(hit.index, {})
    traced = request.trace or request.explain
    if ask.base_scores is not None or traced:
        extras |= {"base_score": hit.base_score, "base_rank": hit.base_rank}
    if traced:
        extras["trace"] = [asdict(each) for each in hit.trace]
    if request.explain:
        extras["evidence"] = {stage: each.to_dict() for stage, each in evidence.items()}
    if request.spans is not None or request.explain:
        extras |= _marked(ask, ask.documents[hit.index], evidence, request.spans or Spans())
    return extras


def _marked(ask: Ask, document: Content, evidence: Mapping[str, Evidence], spans: Spans) -> Answer:
    words = [part.text for part in document if part.text is not None]
    asked = any(part.text is not None for part in ask.query)
    marked: Answer = {}
    if words:
        marked["relevant_spans"] = relevant_spans("\n".join(words), evidence, asked, spans)
    if any(part.picture is not None for part in document):
        marked["relevant_regions"] = relevant_regions(evidence, spans)
    return marked


def _meta(request: Request, ranked: Sequence[Ranked], version: str) -> Answer:
    left_out = [name for each in ranked for name in each.left_out]
    warnings = list(request.warnings)
    if left_out:
        warnings.append(f"no time was left for the stages {', '.join(left_out)}")
    tokens = sum(each.tokens for each in ranked)
    meta: Answer = {
        "api_version": {"version": version},
        "billed_units": {"search_units": 1},
        "tokens": {"input_tokens": tokens, "output_tokens": 0},
    }
    if warnings:
        meta["warnings"] = warnings
    if left_out:
        meta["left_out"] = left_out
    return meta
