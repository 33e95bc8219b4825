"""Weaviate, Elasticsearch, OpenSearch and Vespa: what their results leave out, and what is none."""

from __future__ import annotations

import base64
import uuid
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import crossrank as cr
from crossrank_hosts.elasticsearch import rerank_response
from crossrank_hosts.vespa import rerank_response as rerank_vespa
from crossrank_hosts.weaviate import rerank_objects

SETTINGS: dict[str, Any] = {"reranker": "dot", "encoder": "toy"}


def weaviate_objects(photos: list[Path], **metadata: Any) -> list[Any]:
    name = "weaviate.collections.classes.internal"
    pytest.importorskip("weaviate", reason="weaviate is not installed; make test-hosts")
    kinds = import_module(name)
    return [
        kinds.Object(
            uuid=uuid.UUID(int=n),
            metadata=kinds.MetadataReturn(**{key: each[n] for key, each in metadata.items()}),
            properties={"photo": base64.b64encode(path.read_bytes()).decode()},
            references=None,
            vector={},
            collection="Photos",
        )
        for n, path in enumerate(photos)
    ]


@pytest.mark.parametrize(("name", "sign"), [("score", 1), ("distance", -1), ("certainty", 1)])
def test_the_base_of_weaviate_is_what_was_asked_for(
    photos: list[Path], name: str, sign: int
) -> None:
    values = [0.5, 0.4, 0.3, 0.2, 0.1]
    best = rerank_objects(
        "a dog", weaviate_objects(photos, **{name: values}), image_key="photo", **SETTINGS
    )
    expected = cr.rerank("a dog", photos, base_scores=[sign * v for v in values], **SETTINGS)
    assert [each.uuid.int for each in best] == [hit.index for hit in expected]
    assert [each.properties["base_score"] for each in best] == [hit.base_score for hit in expected]


def test_multivectors_of_weaviate_are_tokens(photos: list[Path]) -> None:
    pytest.importorskip("torch")
    objects = weaviate_objects(photos)
    tokens = cr.encode("toy", photos, features=("tokens",))["tokens"]
    for n, each in enumerate(objects):
        each.vector = {"cells": tokens[n].tolist()}
        each.properties = {}
    best = rerank_objects("a dog", objects, "filip", encoder="toy")
    expected = cr.rerank("a dog", photos, "filip", encoder="toy")
    assert [each.uuid.int for each in best] == [hit.index for hit in expected]


def hits(**more: Any) -> dict[str, Any]:
    return {
        "hits": {
            "total": {"value": 2, "relation": "eq"},
            "max_score": None,
            "hits": [
                {"_id": "a", "_score": None, "_source": {"caption": "a cat"}, "sort": [1], **more},
                {"_id": "b", "_score": None, "_source": {"caption": "a dog"}, "sort": [2], **more},
            ],
        },
        "timed_out": False,
    }


def test_hits_without_scores_are_taken_in_their_order() -> None:
    best = rerank_response("a dog", hits(), **SETTINGS)
    assert [each["_id"] for each in best["hits"]["hits"]] == ["b", "a"]
    first = best["hits"]["hits"][0]
    assert (first["sort"], first["_source"]["base_rank"]) == ([2], 2)
    assert best["hits"]["max_score"] == first["_score"]
    assert best["hits"]["total"] == {"value": 2, "relation": "eq"}
    assert best["timed_out"] is False


def test_a_search_that_found_nothing() -> None:
    empty: dict[str, Any] = {"hits": {"hits": [], "max_score": None}}
    assert rerank_response("a dog", empty, **SETTINGS) == empty
    nothing = {"root": {"id": "toplevel", "fields": {"totalCount": 0}}}
    assert rerank_vespa("a dog", nothing, **SETTINGS)["root"]["children"] == []


@pytest.mark.parametrize("wrong", [{}, {"hits": []}, [], None, "a cat"], ids=str)
def test_what_is_no_response_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"client\.search"):
        rerank_response("a dog", wrong, **SETTINGS)
    with pytest.raises(ValueError, match=r"app\.query"):
        rerank_vespa("a dog", wrong, **SETTINGS)
    if wrong != []:  # nothing found
        with pytest.raises(ValueError, match="objects"):
            rerank_objects("a dog", wrong, **SETTINGS)


def test_relevance_of_vespa_is_the_base() -> None:
    response = {
        "root": {
            "children": [
                {"id": "x:1", "relevance": 0.2, "fields": {"id": "1", "text": "a cat"}},
                {"id": "x:2", "relevance": 0.1, "fields": {"id": "2", "text": "a dog"}},
            ]
        }
    }
    best = rerank_vespa("a dog", response, top_k=1, **SETTINGS)["root"]["children"]
    assert len(best) == 1
    expected = cr.rerank("a dog", ["a cat", "a dog"], base_scores=[0.2, 0.1], **SETTINGS)
    assert best[0]["fields"]["base_score"] == expected[0].base_score
    assert best[0]["relevance"] == expected[0].score
