from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import crossrank as cr
from crossrank.errors import CrossrankError, MissingPackageError, StoreError
from crossrank_demo import DemoResult, run_demo
from crossrank_demo.scenes import load_scenes
from toys.basic import ToyEncoder
from toys.demo import NaiveFilip


class Untouchable(cr.Encoder):
    """Fails the test when it is built."""

    info = ToyEncoder.info

    def __init__(self) -> None:
        raise AssertionError("work began before the input was checked")

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        raise NotImplementedError


def test_every_sentence_is_ranked_before_and_after(toy_run: DemoResult) -> None:
    scenes = load_scenes()
    assert list(toy_run.rankings) == [query.id for query in scenes.queries]
    for ranking in toy_run.rankings.values():
        assert len(ranking) == 20
        assert sorted(hit.base_rank for hit in ranking) == list(range(1, 21))
    assert toy_run.metrics.names == ("base", "reranked")


def test_the_metrics_are_those_of_the_rankings(toy_run: DemoResult) -> None:
    qrels = load_scenes().qrels()
    for system, place in (("base", "base_rank"), ("reranked", "rank")):
        first = [
            min((getattr(hit, place) for hit in ranking if hit.id in qrels[query]), default=None)
            for query, ranking in toy_run.rankings.items()
        ]
        found = [rank for rank in first if rank is not None]
        values = toy_run.metrics[system]
        assert values["R@1"] == pytest.approx(100 * sum(r == 1 for r in found) / len(first))
        assert values["MRR"] == pytest.approx(sum(1 / r for r in found) / len(first))


def test_the_table_names_every_sentence_and_metric(toy_run: DemoResult) -> None:
    for query in load_scenes().queries:
        assert query.text in toy_run.table
    assert "base  reranked" in toy_run.table
    assert "nDCG@10" in toy_run.table
    assert max(map(len, toy_run.table.splitlines()[:22])) <= 80


def test_the_page_tells_of_every_sentence(toy_run: DemoResult) -> None:
    content = toy_run.page.read_text("utf-8")
    assert all(query.text in content for query in load_scenes().queries)
    assert content.count("<details") == len(load_scenes().queries)
    assert "toy" in content
    assert "naive-filip" in content


def test_a_second_run_shows_progress_and_writes_the_same_bytes(
    toy_run: DemoResult, tmp_path: Path
) -> None:
    seen: list[str] = []

    def progress(what: str, done: int, total: int) -> None:
        seen.append(what)

    again = run_demo(
        tmp_path / "again.html", encoder=ToyEncoder, reranker=NaiveFilip, progress=progress
    )
    assert again.page.read_bytes() == toy_run.page.read_bytes()
    assert again.rankings == toy_run.rankings
    assert again.table == toy_run.table
    assert {"encode images", "encode texts"} <= set(seen)


@pytest.mark.parametrize("package", ["jinja2", "skimage", "sklearn", "matplotlib"])
def test_a_missing_package_is_found_before_any_work(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    with pytest.raises(MissingPackageError, match=rf'{package}.*pip install "crossrank\[demo\]"'):
        run_demo(tmp_path / "page.html", encoder=Untouchable, reranker=NaiveFilip)
    assert not list(tmp_path.iterdir())


def test_a_page_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder"):
        run_demo(tmp_path, encoder=Untouchable)
    with pytest.raises(StoreError, match="make it first"):
        run_demo(tmp_path / "nowhere" / "page.html", encoder=Untouchable)


def test_a_failing_encoder_leaves_no_page(tmp_path: Path) -> None:
    class Broken(ToyEncoder):
        def encode_batch(
            self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
        ) -> Mapping[str, Any]:
            raise RuntimeError("no more memory")

    with pytest.raises(CrossrankError, match="no more memory"):
        run_demo(tmp_path / "page.html", encoder=Broken, reranker=NaiveFilip)
    assert not list(tmp_path.iterdir())


def test_importing_the_demo_is_light() -> None:
    heavy = "jinja2", "skimage", "sklearn", "matplotlib", "torch", "transformers"
    code = f"import sys, crossrank_demo; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
