"""mteb: a local task scored both ways, with crossrank's own numbers to the bit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import crossrank as cr
from crossrank_hosts.mteb import CrossrankCrossEncoder, CrossrankSearch
from toys.hosts.driver import installed
from toys.hosts.mteb_task import task_of

SETTINGS: dict[str, Any] = {"reranker": "dot", "encoder": "toy"}
TEXTS = {"q0": "a dog", "q1": "two red cats", "q2": "a dog"}
RANKED = {"q0": ["d4", "d1", "d2"], "q1": ["d0", "d3"], "q2": ["d1", "d0", "d2", "d3", "d4"]}
RELEVANT = {"q0": {"d1": 1}, "q1": {"d0": 1}, "q2": {"d3": 1}}


@pytest.fixture
def corpus(photos: list[Path]) -> dict[str, Image.Image]:
    return {f"d{n}": Image.open(path).convert("RGB") for n, path in enumerate(photos)}


def own(corpus: Mapping[str, Image.Image]) -> dict[str, dict[str, float]]:
    """Return what crossrank says without mteb."""
    rankings = cr.rerank_many(
        [cr.Item(id, text) for id, text in TEXTS.items()],
        [[cr.Item(id, image=corpus[id]) for id in RANKED[query]] for query in TEXTS],
        **SETTINGS,
    )
    return {query: dict(scores) for query, scores in rankings.to_run().items()}


def local(corpus: Mapping[str, Image.Image], ranked: bool = True) -> Any:
    if not installed("mteb"):
        pytest.skip("mteb is not installed; make test-hosts")
    return task_of(TEXTS, corpus, RELEVANT, RANKED if ranked else None)


def evaluated(model: Any, task: Any, folder: Path) -> tuple[dict[str, Any], Any]:
    import mteb

    result = mteb.evaluate(
        model, task, cache=None, prediction_folder=folder, overwrite_strategy="always"
    )
    (path,) = folder.rglob("*predictions.json")
    said = json.loads(path.read_text())
    return said["default"]["test"], result.task_results[0].scores["test"][0]


@pytest.mark.parametrize("kind", [CrossrankCrossEncoder, CrossrankSearch])
def test_both_ways_give_our_numbers_to_the_bit(
    kind: Any, corpus: dict[str, Image.Image], tmp_path: Path
) -> None:
    predicted, scores = evaluated(kind(**SETTINGS), local(corpus), tmp_path / "said")
    expected = own(corpus)
    assert predicted == expected
    ours = cr.evaluate(expected, {q: list(r) for q, r in RELEVANT.items()}, ["nDCG@10"])
    assert scores["main_score"] == pytest.approx(ours[ours.names[-1]]["nDCG@10"], abs=1e-5)


def test_without_lists_it_searches_itself(corpus: dict[str, Image.Image], tmp_path: Path) -> None:
    task = local(corpus, ranked=False)
    predicted, _ = evaluated(CrossrankSearch(**SETTINGS), task, tmp_path / "said")
    gallery = cr.encode("toy", [cr.Item(id, image=each) for id, each in corpus.items()])
    queries = cr.encode("toy", [cr.Item(id, text) for id, text in TEXTS.items()])
    run = cr.search(queries, gallery, 1000)
    expected = cr.Pipeline(cr.Stage("dot")).rerank(run, queries, gallery).to_run()
    assert predicted.keys() == expected.keys()
    for query, scores in expected.items():
        assert list(predicted[query]) == list(scores)
        assert predicted[query] == pytest.approx(scores, abs=1e-5)


def test_pairs_in_batches_are_scored_without_mteb(corpus: dict[str, Image.Image]) -> None:
    pairs = [(query, id) for query, ids in RANKED.items() for id in ids]
    first = [{"id": [q], "text": [TEXTS[q]]} for q, _ in pairs]
    second = [{"id": [id], "image": [corpus[id]]} for _, id in pairs]
    scores = CrossrankCrossEncoder(**SETTINGS).predict(first, second)
    expected = own(corpus)
    assert scores.tolist() == [expected[query][id] for query, id in pairs]


def test_a_document_that_was_not_indexed_is_named() -> None:
    model = CrossrankSearch(**SETTINGS)
    model.index([{"id": "d0", "text": "a dog"}])
    with pytest.raises(ValueError, match="d9"):
        model.search([{"id": "q", "text": "a"}], top_k=3, top_ranked={"q": ["d9"]})


def test_a_query_without_a_list_finds_nothing() -> None:
    model = CrossrankSearch(**SETTINGS)
    model.index([{"id": "d0", "text": "a dog", "title": "Dogs"}])
    found = model.search(
        [{"id": "q", "text": "a"}, {"id": "r", "text": "b"}], top_k=3, top_ranked={"q": ["d0"]}
    )
    assert found["r"] == {}
    assert list(found["q"]) == ["d0"]


def test_importing_it_loads_neither_torch_nor_mteb() -> None:
    code = "import sys, crossrank_hosts.mteb as m; assert not {'torch', 'mteb'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
