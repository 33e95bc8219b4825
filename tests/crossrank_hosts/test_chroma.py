"""Chroma: results of a real collection, with every column in the new order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr

pytest.importorskip("chromadb", reason="chromadb is not installed; make test-hosts")

import chromadb

from crossrank_hosts.chroma import rerank_result

SETTINGS: dict[str, Any] = {"reranker": "dot", "encoder": "toy"}


@pytest.fixture
def collection(photos: list[Path]) -> Any:
    client = chromadb.EphemeralClient()
    made = client.get_or_create_collection("photos", embedding_function=None)
    made.upsert(
        ids=[f"p{n}" for n in range(5)],
        embeddings=[[float(n), 1.0] for n in range(5)],
        documents=["a photo"] * 5,
        metadatas=[{"image_path": str(path), "n": n} for n, path in enumerate(photos)],
    )
    return made


@pytest.mark.parametrize("include", [["metadatas"], ["metadatas", "embeddings", "distances"]])
def test_every_column_is_permuted(collection: Any, photos: list[Path], include: list[str]) -> None:
    asked = np.array([[0.1, 1.0], [3.1, 1.0]], np.float32)
    result = collection.query(query_embeddings=asked, n_results=5, include=include)
    best = rerank_result(["a dog", "a cat"], result, top_k=3, **SETTINGS)
    assert set(best) == set(result)
    for row, query in enumerate(["a dog", "a cat"]):
        places = [int(id[1:]) for id in result["ids"][row]]
        scores = None
        if result["distances"] is not None:
            scores = [-each for each in result["distances"][row]]
        order = cr.rerank(query, [photos[p] for p in places], base_scores=scores, **SETTINGS)
        chosen = [hit.index for hit in order][:3]
        assert best["ids"][row] == [result["ids"][row][place] for place in chosen]
        for name in ("embeddings", "distances"):
            if result[name] is not None:
                column = [result[name][row][place] for place in chosen]
                assert np.array_equal(np.array(best[name][row]), np.array(column))
        assert [m["n"] for m in best["metadatas"][row]] == [places[place] for place in chosen]


def test_a_result_without_metadata_gets_them() -> None:
    result = {
        "ids": [["a", "b"]],
        "documents": [["a cat", "a dog"]],
        "metadatas": None,
        "distances": None,
        "embeddings": None,
        "uris": None,
        "data": None,
        "included": ["documents"],
    }
    best = rerank_result("a dog", result, **SETTINGS)
    assert best["ids"] == [["b", "a"]]
    assert best["documents"] == [["a dog", "a cat"]]
    assert best["metadatas"][0][0]["base_rank"] == 2


@pytest.mark.parametrize("wrong", [{}, {"ids": ["a"]}, [], None], ids=str)
def test_what_is_no_result_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"collection\.query"):
        rerank_result("a dog", wrong, **SETTINGS)


def test_another_number_of_queries_is_refused() -> None:
    with pytest.raises(ValueError, match="2 queries"):
        rerank_result(["a", "b"], {"ids": [["x"]], "documents": [["a dog"]]}, **SETTINGS)


def test_either_may_come_first() -> None:
    result = {"ids": [["a", "b"]], "documents": [["a cat", "a dog"]]}
    swapped: Any = "a dog"
    assert rerank_result(result, swapped, **SETTINGS) == rerank_result("a dog", result, **SETTINGS)
