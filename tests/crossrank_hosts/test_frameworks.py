"""rerankers, txtai and DSPy: in the places that these keep for a reranker of their own."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

import crossrank as cr
from crossrank_hosts.txtai import CrossrankSimilarity

SETTINGS: dict[str, Any] = {"reranker": "dot", "encoder": "toy"}
TEXTS = ["a cat", "a dog", "two dogs"]


def expected(query: Any, candidates: list[Any]) -> list[int]:
    return [hit.index for hit in cr.rerank(query, candidates, **SETTINGS)]


def test_rerankers_of_texts_ids_and_metadata() -> None:
    pytest.importorskip("rerankers.documents", reason="rerankers is not installed; make test-hosts")
    from crossrank_hosts.rerankers import CrossrankRanker

    made = CrossrankRanker(**SETTINGS)
    found = made.rank("a dog", TEXTS, doc_ids=["x", "y", "z"], metadata=[{"n": n} for n in "012"])
    assert [each.doc_id for each in found] == ["xyz"[place] for place in expected("a dog", TEXTS)]
    assert [each.rank for each in found] == [1, 2, 3]
    assert found.get_score_by_docid("y") == found.top_k(1)[0].score
    assert found[0].metadata["n"] == "1"
    assert made.score("a dog", "a cat") == pytest.approx(found.get_score_by_docid("x"), abs=1e-6)
    assert [each.doc_id for each in made.rank("a dog", "one text")] == [0]
    assert made.rank("a dog", []).results == []
    with pytest.raises(ValueError, match="2 ids"):
        made.rank("a dog", TEXTS, doc_ids=["x", "y"])


def test_rerankers_of_pictures(photos: list[Path]) -> None:
    pytest.importorskip("rerankers.documents", reason="rerankers is not installed; make test-hosts")
    from rerankers.documents import Document

    from crossrank_hosts.rerankers import CrossrankRanker

    documents = [
        Document(
            doc_id=n,
            document_type="image",
            base64=base64.b64encode(path.read_bytes()).decode() if n % 2 else None,
            image_path=None if n % 2 else str(path),
        )
        for n, path in enumerate(photos)
    ]
    found = CrossrankRanker(**SETTINGS).rank("a dog", documents)
    assert [each.doc_id for each in found] == expected("a dog", list(photos))


def test_txtai_scores_texts_of_one_query_or_several(photos: list[Path]) -> None:
    made = CrossrankSimilarity(**SETTINGS)
    assert [place for place, _ in made("a dog", TEXTS)] == expected("a dog", TEXTS)
    several = made(["a dog", "a cat"], TEXTS)
    assert [place for place, _ in several[1]] == expected("a cat", TEXTS)
    assert [place for place, _ in made("a dog", [str(p) for p in photos])] == expected(
        "a dog", list(photos)
    )
    assert made("a dog", []) == []


def test_the_reranker_of_txtai_takes_it() -> None:
    pytest.importorskip("txtai", reason="txtai is not installed; make test-hosts")
    from txtai import Embeddings
    from txtai.pipeline.text.reranker import Reranker

    embeddings = Embeddings(keyword=True, content=True)
    embeddings.index([(str(n), f"dog {text}", None) for n, text in enumerate(TEXTS)])
    rows = Reranker(embeddings, CrossrankSimilarity(**SETTINGS))("dog", limit=3)
    listed = {str(n): f"dog {text}" for n, text in enumerate(TEXTS)}
    order = expected("dog", list(listed.values()))
    assert [row["id"] for row in rows] == [str(place) for place in order]


def test_dspy_reranks_passages_that_it_is_given(photos: list[Path]) -> None:
    dspy = pytest.importorskip("dspy", reason="dspy is not installed; make test-hosts")
    from crossrank_hosts.dspy import CrossrankRerank

    made = CrossrankRerank(k=2, **SETTINGS)
    order = expected("a dog", TEXTS)[:2]
    found = made("a dog", passages=TEXTS)
    assert found.passages == [TEXTS[place] for place in order]
    assert found.base_ranks == [place + 1 for place in order]
    assert asyncio.run(made.acall("a dog", passages=TEXTS)).passages == found.passages

    pictures = [dspy.Image(url=encoded(path)) for path in photos]
    found = made("a dog", passages=pictures)
    assert [pictures.index(each) for each in found.passages] == expected("a dog", photos)[:2]


def encoded(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def test_dspy_keeps_what_a_retriever_says() -> None:
    dspy = pytest.importorskip("dspy", reason="dspy is not installed; make test-hosts")
    from crossrank_hosts.dspy import CrossrankRerank

    class Retriever(dspy.Module):  # type: ignore[name-defined]
        def forward(self, query: str) -> Any:
            return dspy.Prediction(passages=TEXTS, indices=[7, 8, 9], note="of a toy")

    made = CrossrankRerank(Retriever(), **SETTINGS)
    found = made("a dog")
    assert found.indices == [7 + place for place in expected("a dog", TEXTS)]
    assert found.note == "of a toy"
    assert asyncio.run(made.acall("a dog")).indices == found.indices


def test_dspy_without_anything_to_rank_says_so() -> None:
    pytest.importorskip("dspy", reason="dspy is not installed; make test-hosts")
    from crossrank_hosts.dspy import CrossrankRerank

    with pytest.raises(ValueError, match="retriever"):
        CrossrankRerank(**SETTINGS)("a dog")
    with pytest.raises(ValueError, match="k is 0"):
        CrossrankRerank(k=0)


def test_clip_benchmark_counts_what_we_count() -> None:
    torch = pytest.importorskip("torch")
    from crossrank_hosts.clip_benchmark import scores_and_pairs

    candidates = [cr.Item(str(n), text) for n, text in enumerate(TEXTS)]
    rankings = cr.rerank_many(["a dog", "a cat"], [candidates] * 2, **SETTINGS)
    qrels = {"0": ["1", "2"], "1": {"0": 1, "2": 0}}
    scores, pairs = scores_and_pairs(rankings, qrels)
    assert scores.shape == pairs.shape == (2, 3)
    assert pairs.tolist() == [[False, True, True], [True, False, False]]
    found = cr.evaluate(rankings, {"0": ["1", "2"], "1": "0"}, ["R@1"])
    hit = torch.gather(pairs, 1, scores.argmax(1, keepdim=True)).float().mean()
    assert 100 * float(hit) == pytest.approx(found[found.names[-1]]["R@1"])
    name = "clip_benchmark.metrics.zeroshot_retrieval"
    retrieval = pytest.importorskip(
        name, reason="clip_benchmark is not installed", exc_type=ImportError
    )
    recall = (retrieval.recall_at_k(scores, pairs, 1) > 0).float().mean()
    assert 100 * float(recall) == pytest.approx(found[found.names[-1]]["R@1"])
    with pytest.raises(LookupError, match="no judgement"):
        scores_and_pairs(rankings, {"0": "1"})
    with pytest.raises(LookupError, match="'9'"):
        scores_and_pairs(rankings, {"0": "1", "1": "9"})
