"""Haystack: blobs, duplicates, pipelines and their YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import crossrank as cr
from toys.basic import DotReranker

pytest.importorskip("haystack", reason="haystack is not installed; make test-hosts")

from haystack import Document, Pipeline
from haystack.dataclasses import ByteStream

from crossrank_hosts.haystack import CrossrankRanker

SETTINGS: dict[str, Any] = {"reranker": "dot", "encoder": "toy"}


def documents_of(photos: list[Path]) -> list[Document]:
    return [Document(id=f"d{n}", meta={"file_path": str(p)}) for n, p in enumerate(photos)]


def expected(photos: list[Path]) -> list[str]:
    return [f"d{hit.index}" for hit in cr.rerank("a dog", photos, **SETTINGS)]


def test_blobs_are_pictures(photos: list[Path]) -> None:
    documents = [
        Document(id=f"d{n}", blob=ByteStream(path.read_bytes(), mime_type="image/png"))
        for n, path in enumerate(photos)
    ]
    found = CrossrankRanker(**SETTINGS).run("a dog", documents)["documents"]
    assert [each.id for each in found] == expected(photos)
    assert found[0].blob is not None


def test_of_the_same_id_the_best_counts(photos: list[Path]) -> None:
    documents = [
        Document(id="d0", meta={"file_path": str(photos[0])}, score=0.1),
        Document(id="d1", meta={"file_path": str(photos[1])}, score=0.2),
        Document(id="d0", meta={"file_path": str(photos[0])}, score=0.9),
    ]
    found = CrossrankRanker(**SETTINGS).run("a dog", documents)["documents"]
    assert {each.id: each.meta["base_score"] for each in found} == {"d0": 0.9, "d1": 0.2}


def test_a_saved_pipeline_runs_again(photos: list[Path]) -> None:
    pipeline = Pipeline()
    pipeline.add_component("ranker", CrossrankRanker(**SETTINGS, top_k=2))
    said = pipeline.dumps()
    assert "haystack_integrations.components.rankers.crossrank.CrossrankRanker" in said
    again = Pipeline.loads(said)
    data = {"ranker": {"query": "a dog", "documents": documents_of(photos)}}
    found = again.run(data)["ranker"]["documents"]
    assert [each.id for each in found] == expected(photos)[:2]


def test_both_names_are_one_class() -> None:
    from haystack_integrations.components.rankers.crossrank import CrossrankRanker as Integrated

    assert Integrated is CrossrankRanker


def test_what_cannot_be_saved_says_so() -> None:
    with pytest.raises(ValueError, match="reranker is an object"):
        CrossrankRanker(DotReranker()).to_dict()


@pytest.mark.parametrize("top_k", [0, -3])
def test_top_k_below_one_is_refused(photos: list[Path], top_k: int) -> None:
    with pytest.raises(ValueError, match="top_k"):
        CrossrankRanker(top_k=top_k)
    with pytest.raises(ValueError, match="top_k"):
        CrossrankRanker(**SETTINGS).run("a dog", documents_of(photos), top_k)


def test_it_is_warm_before_it_runs(photos: list[Path]) -> None:
    made = CrossrankRanker(**SETTINGS)
    made.warm_up()
    assert len(made.run("a dog", documents_of(photos), 1)["documents"]) == 1
