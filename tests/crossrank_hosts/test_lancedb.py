"""LanceDB: vector, full-text, hybrid and multivector searches of a real table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr

lancedb = pytest.importorskip("lancedb", reason="lancedb is not installed; make test-hosts")

import pyarrow as pa

from crossrank_hosts.lancedb import CrossrankReranker

SETTINGS: dict[str, Any] = {"reranker": "dot", "encoder": "toy"}
TEXTS = ("a red cat", "a green dog", "a blue dog", "a white bird", "a black dog")


@pytest.fixture
def table(photos: list[Path], tmp_path: Path) -> Any:
    made = lancedb.connect(tmp_path / "db").create_table(
        "photos",
        [
            {
                "n": n,
                "vector": [float(n), 1.0],
                "caption_words": TEXTS[n],
                "image_bytes": path.read_bytes(),
                "image_path": str(path),
            }
            for n, path in enumerate(photos)
        ],
    )
    made.create_fts_index("caption_words")
    return made


def test_a_vector_search(table: Any, photos: list[Path]) -> None:
    for column in (None, "image_path", "image_bytes"):
        made = CrossrankReranker(**SETTINGS, column=column)
        found = table.search([1.2, 1.0]).rerank(made, "a dog").limit(5).to_list()
        raw = table.search([1.2, 1.0]).limit(5).to_list()
        order = cr.rerank(
            "a dog",
            [photos[row["n"]] for row in raw],
            base_scores=[-row["_distance"] for row in raw],
            **SETTINGS,
        )
        assert [row["n"] for row in found] == [raw[hit.index]["n"] for hit in order]
        assert "_relevance_score" in found[0]
        assert "_distance" not in found[0]


def test_a_full_text_search(table: Any) -> None:
    made = CrossrankReranker(**SETTINGS, return_score="all")
    found = table.search("dog", query_type="fts").rerank(made).limit(5).to_list()
    assert {row["n"] for row in found} == {1, 2, 4}
    assert all(row["_base_score"] == pytest.approx(row["_score"]) for row in found)


@pytest.mark.parametrize("score", ["all", "relevance"])
def test_a_hybrid_search(table: Any, score: str) -> None:
    made = CrossrankReranker(**SETTINGS, return_score=score)
    search = table.search(query_type="hybrid").vector([1.2, 1.0]).text("dog")
    found = search.rerank(made).limit(5).to_list()
    assert {row["n"] for row in found} == set(range(5))
    if score == "all":
        by_n = {row["n"]: row for row in found}
        assert by_n[1]["_score"] is not None
        assert by_n[0]["_score"] is None
        # first of the vectors, and among the texts
        assert by_n[1]["_base_rank"] == 1
        assert sorted(row["_base_rank"] for row in found) == [1, 2, 3, 4, 5]


def test_a_hybrid_search_that_finds_no_text(table: Any) -> None:
    made = CrossrankReranker(**SETTINGS)
    search = table.search(query_type="hybrid").vector([1.2, 1.0]).text("elephant")
    assert len(search.rerank(made).limit(5).to_list()) == 5


def test_several_vector_searches_at_once(table: Any) -> None:
    made = CrossrankReranker(**SETTINGS, return_score="all")
    lists = [table.search([v, 1.0]).with_row_id(True).limit(3).to_arrow() for v in (0.0, 4.0)]
    found = made.rerank_multivector(lists, "a dog", deduplicate=True)
    assert set(found["n"].to_pylist()) <= set(range(5))
    assert len(set(found["_rowid"].to_pylist())) == len(found)


def test_queries_of_a_batch_stay_apart(table: Any) -> None:
    made = CrossrankReranker(**SETTINGS, return_score="all")
    both = table.search(np.array([[0.0, 1.0], [4.0, 1.0]], np.float32)).limit(3).to_arrow()
    assert "query_index" in both.column_names
    found = made.rerank_vector(["a dog", "a cat"], both)
    assert found["query_index"].to_pylist() == [0, 0, 0, 1, 1, 1]
    for query in (0, 1):
        ranks = [r["_base_rank"] for r in found.to_pylist() if r["query_index"] == query]
        assert sorted(ranks) == [1, 2, 3]


def test_stored_tokens_open_no_picture(photos: list[Path]) -> None:
    pytest.importorskip("torch")
    tokens = cr.encode("toy", photos, features=("tokens",))["tokens"]
    rows = pa.table(
        {
            "n": list(range(5)),
            "cells": [tokens[n].tolist() for n in range(5)],
            "_distance": [0.0] * 5,
        }
    )
    found = CrossrankReranker("filip", tokens="cells", encoder="toy").rerank_vector("a dog", rows)
    same = cr.rerank("a dog", photos, "filip", encoder="toy", base_scores=[0.0] * 5)
    assert found["n"].to_pylist() == [hit.index for hit in same]


def test_a_column_that_is_missing_is_named(table: Any) -> None:
    with pytest.raises(ValueError, match="no column 'photo'"):
        table.search([1.0, 1.0]).rerank(CrossrankReranker(column="photo"), "a dog").to_list()
    plain = pa.table({"n": [1], "_distance": [0.5]})
    with pytest.raises(ValueError, match="column="):
        CrossrankReranker(**SETTINGS).rerank_vector("a dog", plain)


def test_the_score_to_return_is_checked() -> None:
    with pytest.raises(ValueError):
        CrossrankReranker(return_score="some")


def test_nothing_found_is_an_empty_table(table: Any) -> None:
    empty = table.search([1.0, 1.0]).where("n > 90").rerank(CrossrankReranker(**SETTINGS), "a dog")
    assert empty.to_list() == []
