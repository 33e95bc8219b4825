"""Qdrant: points of a real client, stored tokens, and payloads that are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr

pytest.importorskip("qdrant_client", reason="qdrant_client is not installed; make test-hosts")

from qdrant_client import QdrantClient, models

from crossrank_hosts.qdrant import rerank_points

SETTINGS: dict[str, Any] = {"reranker": "dot", "encoder": "toy"}


class FirstToken(cr.Reranker):
    """The best product of tokens."""

    info = cr.RerankerInfo(
        "first_token", "tokens", query_features=("tokens",), candidate_features=("tokens",)
    )

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        pairs = block.pairs()
        queries, candidates = block.queries["tokens"], block.candidates["tokens"]
        best = [
            (queries[q] @ candidates[c].T).max()
            for q, c in zip(pairs.queries, pairs.candidates, strict=True)
        ]
        return cr.Scores.of_pairs(pairs, np.array(best, np.float32))


def stored(photos: list[Path], named: bool) -> Any:
    client = QdrantClient(":memory:")
    multi = models.VectorParams(
        size=8,
        distance=models.Distance.DOT,
        multivector_config=models.MultiVectorConfig(
            comparator=models.MultiVectorComparator.MAX_SIM
        ),
    )
    plain = models.VectorParams(size=2, distance=models.Distance.DOT)
    client.create_collection(
        "p", vectors_config={"cells": multi, "plain": plain} if named else multi
    )
    tokens = cr.encode("toy", photos, features=("tokens",))["tokens"]
    client.upsert(
        "p",
        [
            models.PointStruct(
                id=n,
                vector={"cells": tokens[n].tolist(), "plain": [0.1, 0.1 * n]}
                if named
                else tokens[n].tolist(),
                payload={"image_path": str(path)},
            )
            for n, path in enumerate(photos)
        ],
    )
    return client


@pytest.mark.parametrize("named", [True, False])
def test_stored_multivectors_are_the_tokens(photos: list[Path], named: bool) -> None:
    order = cr.rerank("a dog", photos, FirstToken, encoder="toy")
    client = stored(photos, named)
    for path in photos:
        path.unlink()  # no picture is opened
    points = client.scroll("p", limit=10, with_vectors=True)[0]
    best = rerank_points("a dog", points, FirstToken, encoder="toy")
    assert [each.id for each in best] == [hit.index for hit in order]


def test_a_response_stays_a_response(photos: list[Path]) -> None:
    response = stored(photos, True).query_points(
        "p", query=[0.0, 1.0], using="plain", limit=3, with_payload=True
    )
    best = rerank_points("a dog", response, top_k=2, **SETTINGS)
    assert type(best) is type(response)
    assert len(best.points) == 2
    assert {each.payload["base_rank"] for each in best.points} <= {1, 2, 3}
    assert response.points[0].payload.keys() == {"image_path"}


def test_distances_are_smaller_for_what_is_nearer(photos: list[Path]) -> None:
    points = [
        models.ScoredPoint(id=n, version=0, score=float(n), payload={"image_path": str(path)})
        for n, path in enumerate(photos)
    ]
    best = rerank_points("a dog", points, distances=True, **SETTINGS)
    assert {each.id: each.payload["base_score"] for each in best} == {n: -n for n in range(5)}


@pytest.mark.parametrize("wrong", ["a dog", None, [1, 2], {"points": []}], ids=str)
def test_what_are_no_points_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="points"):
        rerank_points("a dog", wrong, **SETTINGS)


def test_an_empty_result_stays_empty() -> None:
    assert rerank_points("a dog", [], **SETTINGS) == []
