"""Learned fusion against loops and exhaustive search."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.cli import main
from crossrank.errors import CrossrankError, InputError, ParameterError, StoreError
from crossrank_fuse import LearnedFusion, coordinate_search, cross_fitted, fit
from crossrank_fuse.features import features, mean_reciprocal_rank

STEPS = (0.0, 0.5, 1.0, 2.0)


class Told(cr.Reranker):
    """Scores that are given; NaN where it abstains."""

    info = cr.RerankerInfo("told", "")

    def __init__(self, scores: Any) -> None:
        super().__init__()
        self.scores = np.asarray(scores, np.float32)

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        found = self.scores[block.query_rows[:, None], block.candidate_rows[block.index]]
        return cr.Scores(np.where(np.isnan(found), 0, found), np.isnan(found) & block.mask)


def results(queries: int = 24, width: int = 8, seed: int = 0) -> tuple[cr.Rankings, Any]:
    """Two stages, one of which knows; a few pairs abstain, the second sees five of eight."""
    rng = np.random.default_rng(seed)
    relevant = rng.integers(0, width, queries)
    own = np.arange(width) == relevant[:, None]
    good = rng.normal(size=(queries, width)) + 2 * own
    noise = rng.normal(size=(queries, width))
    noise[rng.random(noise.shape) < 0.1] = np.nan
    base = rng.normal(size=(queries, width)) + 0.5 * own
    texts = cr.Collection([f"q{n}" for n in range(queries)], "text")
    images = cr.Collection([f"g{n}" for n in range(width)], "image")
    candidates = cr.Candidates.from_similarity(
        base.T, "t2i", text_ids=texts.ids, image_ids=images.ids
    )
    stages = [cr.Stage(Told(noise), name="noise"), cr.Stage(Told(good), name="good", depth=5)]
    rankings = cr.Pipeline(stages).rerank(candidates, texts, images)
    return rankings, {f"q{n}": f"g{place}" for n, place in enumerate(relevant)}


def test_features_are_the_z_scores_of_a_loop() -> None:
    rankings, _ = results()
    found = features(rankings)
    assert rankings.base_scores is not None
    for row in range(len(rankings)):
        columns: list[Any] = [rankings.base_scores, *(stage.raw for stage in rankings.stages)]
        for column, values in enumerate(columns):
            known = [float(v) for v in values[row] if not math.isnan(v)]
            mean = math.fsum(known) / len(known)
            deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in known) / len(known))
            worst = min(min((v - mean) / deviation for v in known), 0)
            for place, value in enumerate(values[row].tolist()):
                if not math.isnan(value):
                    wanted = (value - mean) / deviation
                elif column == 0 or rankings.stages[column - 1].seen[row, place]:
                    wanted = 0.0
                else:
                    wanted = worst
                assert found[row, place, column] == pytest.approx(wanted, abs=1e-6)


def test_the_measure_is_that_of_evaluate() -> None:
    rankings, qrels = results()
    found = rankings.to_run()
    wanted = cr.evaluate(found, qrels, ["MRR"], resamples=0)["run"]["MRR"]
    relevant = np.array(
        [[rankings.candidate_ids[g] == qrels[q] for g in rankings.index[n]]
         for n, q in enumerate(rankings.query_ids)]
    )  # fmt: skip
    assert mean_reciprocal_rank(rankings.final, rankings.mask, relevant) == pytest.approx(wanted)


def test_one_coordinate_is_searched_exhaustively() -> None:
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(30, 6, 3))
    relevant = np.zeros((30, 6), np.bool_)
    relevant[np.arange(30), rng.integers(0, 6, 30)] = True
    mask = np.ones_like(relevant)
    found = coordinate_search(columns, mask, relevant, STEPS)
    assert found[0] == 1

    def worth(weights: Any) -> float:
        return mean_reciprocal_rank(columns @ np.array(weights), mask, relevant)

    for place in (1, 2):  # no single weight can be moved to advantage
        for step in STEPS:
            other = found.copy()
            other[place] = step
            assert worth(other) <= worth(found) + 1e-12
    assert worth(found) >= worth([1, 1, 1])
    best = max(worth((1, a, b)) for a, b in itertools.product(STEPS, STEPS))
    assert worth(found) <= best


@pytest.mark.parametrize("method", ["weights", "lambdamart"])
def test_a_rule_helps_and_comes_back_from_its_file(method: str, tmp_path: Path) -> None:
    if method == "lambdamart":
        pytest.importorskip("lightgbm", reason="LambdaMART needs lightgbm")
    rankings, qrels = results(60)
    rule = fit(rankings, qrels, method)
    others, judged = results(60, seed=9)
    fused = rule.apply(others)
    before = cr.evaluate(others.to_run(), judged, ["MRR"], resamples=0)["run"]["MRR"]
    after = cr.evaluate(fused.to_run(), judged, ["MRR"], resamples=0)["run"]["MRR"]
    assert after > before - 0.02
    rule.save(tmp_path / "rule.json")
    again = LearnedFusion.open(tmp_path / "rule.json")
    assert again == rule and again.apply(others) == fused
    for query, ranking in fused.items():
        assert sorted(ranking.ids) == sorted(others[query].ids)
        old = {hit.id: (hit.base_rank, hit.trace) for hit in others[query]}
        assert {hit.id: (hit.base_rank, hit.trace) for hit in ranking} == old
    if method == "weights":
        assert rule.weights[1] < rule.weights[2]


def test_each_query_is_fused_without_itself() -> None:
    rankings, qrels = results(12)
    crossed = cross_fitted(rankings, qrels, folds=12)
    row = 3
    others = [n for n in range(12) if n != row]
    shared = [n for n in others if qrels[f"q{n}"] == qrels[f"q{row}"]]
    rest = rankings.take([n for n in others if n not in shared])
    rule = fit(rest, qrels)
    wanted = rule.apply(rankings.take([row]))[f"q{row}"].ids
    assert crossed[f"q{row}"].ids == wanted


def test_what_cannot_be_fitted(tmp_path: Path) -> None:
    rankings, qrels = results(6)
    with pytest.raises(InputError, match="no query"):
        fit(rankings, {"x": "y"})
    with pytest.raises(InputError, match="nothing to learn"):
        fit(rankings, {"q0": "elsewhere"})
    with pytest.raises(ParameterError, match="method"):
        fit(rankings, qrels, "forest")
    with pytest.raises(ParameterError, match="folds"):
        cross_fitted(rankings, qrels, folds=1)
    with pytest.raises(InputError, match="without itself"):
        cross_fitted(rankings.take([0]), qrels)
    rule = fit(rankings, qrels)
    other = cr.Pipeline(cr.Stage(Told(np.zeros((6, 8))), name="another"))
    texts = cr.Collection(rankings.query_ids, "text")
    images = cr.Collection(rankings.candidate_ids, "image")
    lists = cr.Candidates.from_run(rankings.base_run(), candidate_ids=images.ids)
    with pytest.raises(InputError, match="same stages"):
        rule.apply(other.rerank(lists, texts, images))
    (tmp_path / "broken.json").write_text('{"format": "x"}')
    with pytest.raises(StoreError, match="crossrank fuse"):
        LearnedFusion.open(tmp_path / "broken.json")
    with pytest.raises(ParameterError, match="finite weights"):
        LearnedFusion("weights", ("base", "x"), (1.0, math.nan))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("val", 0), ("test", 5)):
        rankings, qrels = results(20, seed=seed)
        rankings.save(tmp_path / f"{name}.safetensors")
        lines = [f"{query} 0 {id} 1" for query, id in qrels.items()]
        (tmp_path / f"{name}.qrels").write_text("\n".join(lines) + "\n")
    given = ["fuse", str(tmp_path / "val.safetensors"), "--qrels", str(tmp_path / "val.qrels"),
             "-o", str(tmp_path / "rule.json")]  # fmt: skip
    test = ["--test", str(tmp_path / "test.safetensors"), "--test-qrels",
            str(tmp_path / "test.qrels"), "--run", str(tmp_path / "o.trec")]  # fmt: skip

    def code(*more: str) -> int:
        with pytest.raises(SystemExit) as done:
            main([*given, *more])
        return int(done.value.code or 0)

    assert code(*test) == 0
    told = capsys.readouterr().out
    assert "weights: base 1" in told and "cross-fitted" in told
    assert cr.Candidates.from_trec(tmp_path / "o.trec").depth == 8
    assert code() == 2
    assert code("--force", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert set(record["weights"]["weights"]) == {"base", "noise", "good"}
    assert "p_value" in str(record["cross-fitted"]["gains"])
    assert code("--force", "--run", str(tmp_path / "p.trec")) == 2
    (tmp_path / "val.qrels").write_text("x 0 y 1\n")
    assert code("--force") == 2


def test_without_lightgbm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(CrossrankError, match=r"crossrank\[fuse\]"):
        fit(*results(6), "lambdamart")
