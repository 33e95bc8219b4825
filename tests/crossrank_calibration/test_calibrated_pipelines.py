"""Pipelines that read a calibration: probabilities, thresholds, statistics of any list."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import ParameterError, StoreError
from crossrank_calibration import (
    calibrate,
)
from toys.calibration import QRELS, judged, sides


class Squares(cr.Reranker):
    info = cr.RerankerInfo("squares", "", "", ("embedding",), ("embedding",))

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        s = block.queries["embedding"] @ block.candidates["embedding"].T
        return cr.Scores(
            np.where(block.mask, np.take_along_axis(s, block.index, axis=1) ** 2, 0).astype(
                np.float32
            )
        )


def test_a_pipeline_gives_probabilities(tmp_path: Path) -> None:
    queries, gallery, candidates = sides()
    plain = cr.Pipeline(cr.Stage(Squares)).rerank(candidates, queries, gallery)
    assert plain["q0"][0].probability is None and plain["q0"].confidence is None
    calibration = calibrate(plain, QRELS)
    assert calibration.stages == ("squares",)
    pipeline = cr.Pipeline(cr.Stage(Squares), calibration=calibration)
    found = pipeline.rerank(candidates, queries, gallery)
    assert found == plain.calibrated(calibration)
    hits = found["q2"]
    s = np.array([hit.score for hit in hits])
    told = [float(hit.probability or 0) for hit in hits]
    np.testing.assert_allclose(told, calibration.probabilities(s))
    assert isinstance(hits[0].probability, float) and isinstance(hits.confidence, float)
    middle = sorted(float(hit.probability or 0) for hit in hits)[6]
    cut = pipeline.rerank(candidates, queries, gallery, min_probability=middle)
    assert min(hit.probability or 0 for hit in cut["q2"]) == middle and len(cut["q2"]) == 6
    top = pipeline.rerank(candidates, queries, gallery, top_k=2)
    assert [each.confidence for each in top.values()] == [
        each.confidence for each in found.values()
    ]
    kept = pipeline.rerank_to(tmp_path / "run", candidates, queries, gallery, top_k=2)
    assert kept == top == cr.Rankings.open(tmp_path / "run" / "rankings.safetensors")
    assert top.take([2]).values()[0].confidence == hits.confidence
    with pytest.raises(StoreError):
        cr.Pipeline(cr.Stage(Squares)).rerank_to(
            tmp_path / "run", candidates, queries, gallery, top_k=2
        )


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan, "half", True])
def test_bad_min_probability(wrong: Any) -> None:
    queries, gallery, candidates = sides()
    calibration = cr.Calibration("platt", {"slope": 1.0, "intercept": 0.0})
    with pytest.raises(ParameterError, match="min_probability"):
        cr.Pipeline(Squares_stage(), calibration=calibration).rerank(
            candidates, queries, gallery, min_probability=wrong
        )
    with pytest.raises(ParameterError, match="calibration=FILE"):
        cr.Pipeline(Squares_stage()).rerank(candidates, queries, gallery, min_probability=0.5)


def Squares_stage() -> cr.Stage:  # noqa: N802
    return cr.Stage(Squares)


def test_a_calibration_of_other_stages_is_told(caplog: pytest.LogCaptureFixture) -> None:
    calibration = cr.Calibration("platt", {"slope": 1.0, "intercept": 0.0}, ("filip",))
    cr.Pipeline(Squares_stage(), calibration=calibration)
    assert "fitted on filip, not on squares" in caplog.text


def test_statistics_of_a_calibration_compare_lists_of_any_length(tmp_path: Path) -> None:
    queries, gallery, candidates = sides()
    run = cr.Pipeline(cr.Stage(Squares, fusion=cr.WeightedSum(0.5, statistics="run")))
    whole = run.rerank(candidates, queries, gallery)
    calibrate(whole, QRELS).save(tmp_path / "c.json")
    given = cr.WeightedSum(0.5, statistics=str(tmp_path / "c.json"))
    pipeline = cr.Pipeline(cr.Stage(Squares, fusion=given))
    assert not pipeline.transductive
    found = pipeline.rerank(candidates, queries, gallery)
    np.testing.assert_allclose(found.final, whole.final, rtol=1e-6, atol=1e-6)
    # a single list of two, as the whole run scored it
    short = cr.Candidates.from_run(
        {"q1": {id: 0.0 + score for id, score in list(candidates.to_run()["q1"].items())[:2]}},
        candidate_ids=gallery.ids,
    )
    alone = pipeline.rerank(short, queries, gallery)["q1"]
    by_id = {hit.id: hit.score for hit in whole["q1"]}
    np.testing.assert_allclose(
        [hit.score for hit in alone], [by_id[hit.id] for hit in alone], rtol=1e-5, atol=1e-6
    )


def test_statistics_that_are_not_there(tmp_path: Path) -> None:
    calibrate(*judged(8)).save(tmp_path / "c.json")
    with pytest.raises(ParameterError, match="no statistics of stages"):
        cr.Stage(Squares, fusion=cr.WeightedSum(statistics=tmp_path / "c.json"))
    some = cr.Calibration(
        "platt", {"slope": 1.0, "intercept": 0.0}, statistics={"x": cr.Statistics(0, 1, 0, 1)}
    )
    with pytest.raises(ParameterError, match="of x only"):
        cr.Stage(Squares, fusion=cr.WeightedSum(statistics=some))
    with pytest.raises(ParameterError, match="no file is called so"):
        cr.WeightedSum(statistics="rwo")
    with pytest.raises(ParameterError, match="zscore"):
        cr.WeightedSum(normalise="minmax", statistics=some)
    with pytest.raises(ParameterError, match="deviation"):
        cr.Statistics(0, -1, 0, 1)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(StoreError, match="crossrank calibrate"):
        cr.Calibration.open(tmp_path / "broken.json")
    with pytest.raises(ParameterError, match="no method"):
        cr.Calibration("plat", {})
    with pytest.raises(ParameterError, match="slope, intercept"):
        cr.Calibration("platt", {"slope": 1.0})


def test_short_lists_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    queries, gallery, _ = sides()
    short = cr.search(queries, gallery, 2)
    two = cr.Pipeline([Squares_stage(), cr.Stage(Squares, name="again")])
    two.rerank(short, queries, gallery)
    told = [each for each in caplog.records if "say little" in each.message]
    assert len(told) == 1 and "8 of 8 lists hold fewer than 4" in told[0].message
    caplog.clear()
    for fusion in (cr.WeightedSum(statistics="run"), cr.Replace(), cr.RRF()):
        cr.Pipeline(cr.Stage(Squares, fusion=fusion)).rerank(short, queries, gallery)
    two.rerank(cr.search(queries, gallery, 5), queries, gallery)
    two.rerank(cr.search(queries, gallery, 1), queries, gallery)
    assert not caplog.records
