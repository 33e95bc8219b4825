"""What ``/openapi.json`` says of the routes."""

from __future__ import annotations

from typing import Any

import crossrank as cr

STRING: dict[str, Any] = {"type": "string"}
ERRORS = (400, 401, 403, 404, 405, 408, 413, 415, 422, 424, 429, 500, 503, 504)


def document(model: str) -> dict[str, Any]:
    """Return the description of a server."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "crossrank serve",
            "version": cr.__version__,
            "description": f"Reranks texts and pictures; the model is {model!r}.",
        },
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"bearer": []}],
        "paths": {
            "/v1/rerank": _post("rerank", "Jina, Cohere v1, Voyage", "Rerank", "Ranked"),
            "/v2/rerank": _post("rerank_v2", "Cohere v2", "Rerank", "Ranked"),
            "/rerank": _post("rerank_tei", "TEI, Cohere, vLLM, SGLang", "TeiOrRerank", "Any"),
            "/score": _post("score", "vLLM", "Score", "Scored"),
            "/v1/score": _post("score_v1", "vLLM", "Score", "Scored"),
            "/v1/search": _post("search", "A query against the gallery", "Search", "Any"),
            "/v1/gallery": _get("gallery", "What is searched"),
            "/v1/models": _get("models", "The model that is served"),
            "/health": _get("health", "Whether the process lives"),
            "/ready": _get("ready", "Whether the models are loaded"),
            "/metrics": _get("metrics", "Counters for Prometheus", "text/plain"),
        },
    }


def _post(id: str, about: str, sent: str, answered: str) -> dict[str, Any]:
    return {
        "post": {
            "operationId": id,
            "summary": about,
            "requestBody": {"required": True, "content": _json(sent)},
            "responses": {
                "200": {"description": "Ranked", "content": _json(answered)},
                **_errors(),
            },
        }
    }


def _get(id: str, about: str, kind: str = "application/json") -> dict[str, Any]:
    return {
        "get": {
            "operationId": id,
            "summary": about,
            "responses": {"200": {"description": about, "content": {kind: {}}}, **_errors()},
        }
    }


def _errors() -> dict[str, Any]:
    return {
        str(status): {"description": "See the body", "content": _json("Error")} for status in ERRORS
    }


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": _ref(name)}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(*kinds: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [*kinds, {"type": "null"}]}


def _array(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": of}


BOOLEAN = _or_null({"type": "boolean"})
COUNT = _or_null({"type": "integer", "minimum": 1})
PICTURE = {"description": "A data URI, base64, or an address that --allow-url allows"}

OPTIONS: dict[str, Any] = {
    "model": _or_null(STRING),
    "top_n": COUNT,
    "top_k": COUNT,
    "return_documents": BOOLEAN,
    "rank_fields": _or_null({"type": "array", "items": STRING}),
    "max_tokens_per_doc": COUNT,
    "base_scores": _or_null({"type": "array", "items": {"type": "number"}}),
    "trace": BOOLEAN,
    "explain": BOOLEAN,
    "relevant_spans": _or_null({"type": "boolean"}, _ref("Spans")),
    "instruction": _or_null(STRING),
    "timeout": _or_null({"type": "number", "exclusiveMinimum": 0}),
}

PART = {
    "type": "object",
    "properties": {
        "type": STRING,
        "text": _or_null(STRING),
        "image": _or_null({"anyOf": [STRING, _ref("Address")], **PICTURE}),
        "image_url": _or_null({"anyOf": [STRING, _ref("Address")], **PICTURE}),
    },
}

SCHEMAS: dict[str, Any] = {
    "Address": {"type": "object", "required": ["url"], "properties": {"url": STRING}},
    "Part": PART,
    "Parts": _array({"anyOf": [STRING, _ref("Part")]}),
    "Content": {
        "anyOf": [
            STRING,
            _ref("Part"),
            _ref("Parts"),
            {
                "type": "object",
                "required": ["content"],
                "properties": {"content": {"anyOf": [STRING, _ref("Parts")]}},
            },
        ]
    },
    "Spans": {
        "type": "object",
        "properties": {
            "mode": {"enum": ["enabled", "disabled"]},
            "threshold": _or_null({"type": "number"}),
            "max_spans": COUNT,
        },
    },
    "Rerank": {
        "type": "object",
        "required": ["query", "documents"],
        "properties": {
            "query": _ref("Content"),
            "documents": _array(_ref("Content")),
            **OPTIONS,
        },
    },
    "Tei": {
        "type": "object",
        "required": ["query", "texts"],
        "properties": {
            "query": _ref("Content"),
            "texts": _array(_ref("Content")),
            "raw_scores": BOOLEAN,
            "return_text": BOOLEAN,
            **OPTIONS,
        },
    },
    "TeiOrRerank": {"anyOf": [_ref("Tei"), _ref("Rerank")]},
    "Score": {
        "type": "object",
        "required": ["text_1", "text_2"],
        "properties": {
            "text_1": {"anyOf": [_ref("Content"), _array(_ref("Content"))]},
            "text_2": {"anyOf": [_ref("Content"), _array(_ref("Content"))]},
            "model": _or_null(STRING),
            "explain": BOOLEAN,
        },
    },
    "Search": {
        "type": "object",
        "properties": {
            "query": _ref("Content"),
            "text": _or_null(STRING),
            "image": _or_null(STRING),
            "top_n": COUNT,
            "top_k": COUNT,
            "depth": COUNT,
            "ids": _or_null(_array(STRING)),
            "explain": BOOLEAN,
        },
    },
    "Any": {},
    "Ranked": {
        "type": "object",
        "properties": {
            "results": {"type": "array", "items": _ref("Result")},
            "data": {"type": "array", "items": _ref("Result")},
            "model": STRING,
        },
    },
    "Result": {
        "type": "object",
        "required": ["index", "relevance_score"],
        "properties": {
            "index": {"type": "integer", "minimum": 0},
            "relevance_score": {"type": "number"},
        },
    },
    "Scored": {
        "type": "object",
        "required": ["data"],
        "properties": {
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["index", "score"],
                    "properties": {"index": {"type": "integer"}, "score": {"type": "number"}},
                },
            }
        },
    },
    "Error": {
        "type": "object",
        "required": ["detail", "message", "error", "error_type", "code", "request_id"],
        "properties": {
            **dict.fromkeys(("detail", "message", "error", "error_type"), STRING),
            "code": {"type": "integer"},
            "request_id": STRING,
        },
    },
}
