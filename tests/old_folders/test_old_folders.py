"""Whatever an earlier version wrote opens as before, and ranks as before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import crossrank as cr
from crossrank._files.trec import read_run
from crossrank.cli import main

HERE = Path(__file__).parent
EXPECTED: dict[str, Any] = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))


def collections() -> tuple[cr.Collection, cr.Collection]:
    return cr.Collection.open(HERE / "texts"), cr.Collection.open(HERE / "images")


def lists(stage: cr.Stage, **options: Any) -> dict[str, list[list[Any]]]:
    texts, images = collections()
    rankings = cr.Pipeline([stage]).rerank(cr.search(texts, images, 6), texts, images, **options)
    return {name: [[hit.id, hit.score] for hit in rankings[name]] for name in rankings}


def assert_same(found: dict[str, list[list[Any]]], expected: dict[str, list[list[Any]]]) -> None:
    assert list(found) == list(expected)
    for name, hits in expected.items():
        assert [hit[0] for hit in found[name]] == [hit[0] for hit in hits]
        assert [hit[1] for hit in found[name]] == pytest.approx([h[1] for h in hits], abs=1e-5)


FILIP = cr.Stage("filip", depth=4, fusion=cr.WeightedSum(0.5))


def test_a_collection() -> None:
    _, images = collections()
    assert list(images.ids) == EXPECTED["ids"]
    assert images.fingerprint() == EXPECTED["fingerprint"]
    for name, total in EXPECTED["sums"].items():
        values = images[name]
        rows = values.flat if isinstance(values, cr.Ragged) else values
        assert float(np.asarray(rows, np.float64).sum()) == pytest.approx(total)


def test_a_collection_stored_in_eight_bits() -> None:
    _, images = collections()
    small = cr.Collection.open(HERE / "images_int8")
    tokens, exact = small["tokens"], images["tokens"]
    assert isinstance(tokens, cr.Ragged)
    assert isinstance(exact, cr.Ragged)
    for got, wanted in zip(tokens, exact, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1 / 127)


def test_rankings_a_run_and_a_folder_of_blocks() -> None:
    pytest.importorskip("torch")
    expected = EXPECTED["rankings"]
    assert_same(lists(FILIP), expected)
    for path in (HERE / "rankings.safetensors", HERE / "durable" / "rankings.safetensors"):
        rankings = cr.Rankings.open(path)
        assert_same({q: [[h.id, h.score] for h in rankings[q]] for q in rankings}, expected)
    candidates = cr.Candidates.from_run(read_run(HERE / "run.trec"))
    assert list(candidates.query_ids) == list(expected)


def test_a_bank() -> None:
    crossrank_knowledge = pytest.importorskip("crossrank_knowledge")
    bank = crossrank_knowledge.KnowledgeBank.open(HERE / "bank", verify=True)
    assert bank.encoder == "toy:1"
    nearest = bank.nearest("dog", 2)
    assert [word for word, _ in nearest] == [word for word, _ in EXPECTED["bank"]]
    assert [v for _, v in nearest] == pytest.approx([v for _, v in EXPECTED["bank"]])


def test_weights() -> None:
    pytest.importorskip("torch")
    from crossrank_cprd.saving import load_student
    from crossrank_lite_itm.network import load_network

    heads = cr.Stage("hosa", params={"heads": HERE / "hosa_heads.safetensors"})
    assert_same(lists(heads), EXPECTED["hosa_heads"])
    assert load_student(HERE / "cprd_student.safetensors").sizes.token == 16
    assert load_network(HERE / "lite_itm.safetensors").sizes.members == 2


def test_tables_that_a_plugin_kept(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    shutil.copytree(HERE / "tables", tmp_path / "tables")
    assert_same(lists(cr.Stage("hosa"), cache_folder=tmp_path / "tables"), EXPECTED["hosa"])


def test_a_cache_of_scores(tmp_path: Path) -> None:
    shutil.copytree(HERE / "scores", tmp_path / "scores")
    done = CliRunner().invoke(main, ["cache", "--folder", str(tmp_path / "scores"), "--verify"])
    assert done.exit_code == 0, done.output
    assert "filip" in done.output


def test_a_study() -> None:
    result = cr.AblationResult.open(HERE / "study" / "result.json")
    assert {cell.name: dict(cell.metrics) for cell in result.cells} == EXPECTED["metrics"]
