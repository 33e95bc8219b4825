"""A depth for each query, against its rule written as a loop; and deadlines."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import CrossrankError, ParameterError
from crossrank_ablation.depths import depth_curve, fit_depth

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(70, 8))
UNIT = (ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)).astype(np.float32)
QUERIES = cr.Collection([f"q{n}" for n in range(20)], "text", embedding=UNIT[:20])
GALLERY = cr.Collection([f"g{n}" for n in range(50)], "image", embedding=UNIT[20:])
BASE = cr.search(QUERIES, GALLERY, 40)
QRELS = {id: {GALLERY.ids[(7 * n) % 50]: 1} for n, id in enumerate(QUERIES.ids)}


class Noisy(cr.Reranker):
    """The inner product and something of its own, after a while."""

    info = cr.RerankerInfo("noisy", "", "", ("embedding",), ("embedding",))
    seconds = 0.0

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        time.sleep(self.seconds)
        s = block.queries["embedding"] @ block.candidates["embedding"].T
        pairs = np.take_along_axis(s, block.index, axis=1)
        return cr.Scores((np.sin(9 * pairs) * block.mask).astype(np.float32))


class Slow(Noisy):
    info = cr.RerankerInfo("slow", "", "", ("embedding",), ("embedding",))
    seconds = 0.05


def depths_of(rankings: cr.Rankings, stage: str) -> list[int]:
    trace = next(each for each in rankings.stages if each.name == stage)
    return [int(each) for each in trace.seen.sum(axis=1)]


def test_margin_takes_the_least_depth_that_is_enough() -> None:
    rule = cr.AutoDepth((3, 8, 20), 1.5)
    found = depths_of(
        cr.Pipeline(cr.Stage(Noisy, depth=rule)).rerank(BASE, QUERIES, GALLERY), "noisy"
    )
    wanted = []
    for members in BASE.to_lists():
        scores = [float(score or 0) for _, score in members]
        mean = math.fsum(scores) / len(scores)
        deviation = math.sqrt(math.fsum((s - mean) ** 2 for s in scores) / len(scores))
        enough = [k for k in (3, 8) if (scores[0] - scores[k]) / deviation >= 1.5]
        wanted.append(enough[0] if enough else 20)
    assert found == wanted and len(set(found)) == 3


def test_disagreement_looks_at_where_the_best_came_from() -> None:
    stages = [cr.Stage(Noisy, name="first", fusion=cr.WeightedSum(3.0))]
    first = cr.Pipeline(stages).rerank(BASE, QUERIES, GALLERY)
    rule = cr.AutoDepth((4, 12, 30), 0.2, "disagreement")
    second = cr.Stage(Noisy, name="second", depth=rule)
    found = depths_of(cr.Pipeline([*stages, second]).rerank(BASE, QUERIES, GALLERY), "second")
    by_query = dict(zip(QUERIES.ids, found, strict=True))
    for query, ranking in first.items():
        ranks = [hit.base_rank for hit in ranking[:10]]
        enough = [k for k in (4, 12) if sum(rank > k for rank in ranks) / 10 <= 0.2]
        assert by_query[query] == (enough[0] if enough else 30)
    assert depths_of(cr.Pipeline(second).rerank(BASE, QUERIES, GALLERY), "second") == [12] * 20


def test_short_and_empty_lists() -> None:
    lists = cr.Candidates.from_run(
        {"q0": {"g0": 1.0}, "q1": {}, "q2": {"g1": 0.5, "g2": 0.5}}, candidate_ids=GALLERY.ids
    )
    rankings = cr.Pipeline(cr.Stage(Noisy, depth="auto")).rerank(lists, QUERIES, GALLERY)
    assert depths_of(rankings, "noisy") == [1, 0, 2]
    equal = cr.Candidates.from_run(
        {"q0": dict.fromkeys(GALLERY.ids[:40], 0.5)}, candidate_ids=GALLERY.ids
    )
    found = cr.Pipeline(cr.Stage(Noisy, depth="auto")).rerank(equal, QUERIES, GALLERY)
    assert depths_of(found, "noisy") == [40]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"choices": (10, 5)}, "rise"),
        ({"choices": ()}, "rise"),
        ({"choices": (0, 5)}, "rise"),
        ({"choices": 10}, "rise"),
        ({"by": "gap"}, "no rule"),
        ({"threshold": -1}, "threshold"),
        ({"threshold": math.nan}, "threshold"),
    ],
)
def test_rules_that_there_are_not(given: Any, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        cr.AutoDepth(**given)
    with pytest.raises(ParameterError, match="'auto' or an AutoDepth"):
        cr.Stage(Noisy, depth="automatic")


def test_the_curve_is_what_each_depth_gives() -> None:
    split = cr.Split(QUERIES, GALLERY, QRELS, candidates=BASE)
    pipeline = cr.Pipeline([cr.Stage(Noisy, name="first"), cr.Stage(Noisy, name="last")])
    rule = cr.AutoDepth((5, 10, 30), 1.0)
    points = depth_curve(pipeline, split, [1, 5, 30, rule], ["R@1", "MRR"])
    for point in points:
        whole = cr.Pipeline(
            [cr.Stage(Noisy, name="first"), cr.Stage(Noisy, name="last", depth=point.depth)]
        ).rerank(BASE, QUERIES, GALLERY)
        wanted = cr.evaluate({"x": whole.to_run()}, QRELS, ["R@1", "MRR"])["x"]
        assert point.metrics["MRR"] == pytest.approx(wanted["MRR"])
        assert point.metrics["R@1"] == pytest.approx(wanted["R@1"])
        assert point.pairs == sum(depths_of(whole, "last"))
        found = sum(
            any(hit.trace[1].note != "not seen: beyond the stage's depth" and hit.id in QRELS[q]
                for hit in ranking)
            for q, ranking in whole.items()
        )  # fmt: skip
        assert point.ceiling == pytest.approx(100 * found / 20)
    assert [each.ceiling for each in points[:3]] == sorted(each.ceiling for each in points[:3])


def test_the_fitted_rule_is_the_cheapest_that_keeps_the_metric() -> None:
    split = cr.Split(QUERIES, GALLERY, QRELS, candidates=BASE)
    pipeline = cr.Pipeline(cr.Stage(Noisy))
    tried = [0.5, 1.0, 2.0, 4.0]
    rule = fit_depth(pipeline, split, (5, 10, 30), thresholds=tried, tolerance=0.02)
    whole, *points = depth_curve(
        pipeline, split, [30, *(cr.AutoDepth((5, 10, 30), each) for each in tried)], ["MRR"]
    )
    enough = [p for p in points if p.metrics["MRR"] >= 0.98 * whole.metrics["MRR"]]
    if enough:
        assert rule in [p.depth for p in enough]
        assert next(p.pairs for p in enough if p.depth == rule) == min(p.pairs for p in enough)
    else:
        assert rule.choices == (30,)


def test_an_ablation_takes_rules() -> None:
    split = cr.Split(QUERIES, GALLERY, QRELS, candidates=BASE)
    pipeline = cr.Pipeline([cr.Stage(Noisy, depth="auto")])
    cell = cr.ablate(pipeline, split, metrics=["MRR"]).best("t2i")
    found = pipeline.rerank(BASE, QUERIES, GALLERY)
    assert cell is not None
    wanted = cr.evaluate({"x": found.to_run()}, QRELS, ["MRR"])["x"]["MRR"]
    assert cell.metrics["MRR"] == pytest.approx(wanted)
    assert cell.cost.pairs == sum(depths_of(found, "noisy"))


def test_after_the_deadline_stages_are_skipped(caplog: pytest.LogCaptureFixture) -> None:
    whole = cr.Pipeline(cr.Stage(Slow)).rerank(BASE, QUERIES, GALLERY)
    both = cr.Pipeline([cr.Stage(Slow), cr.Stage(Noisy, depth=10)])
    found = both.rerank(BASE, QUERIES, GALLERY, deadline=0.02)
    assert [hit.id for hit in found["q3"]] == [hit.id for hit in whole["q3"]]
    assert [hit.score for hit in found["q3"]] == [hit.score for hit in whole["q3"]]
    note = found["q3"][0].trace[1].note
    assert note == "skipped: the deadline of 0.02 s had passed" and note in caplog.text
    assert found["q3"][0].trace[1].score is None
    in_time = both.rerank(BASE, QUERIES, GALLERY, deadline=600)
    assert in_time == both.rerank(BASE, QUERIES, GALLERY)
    per_query = both.rerank(BASE, QUERIES, GALLERY, deadline=30.0, deadline_per="query")
    assert per_query == in_time


@pytest.mark.parametrize("deadline", [0, -1.0, math.nan, math.inf, "soon", True])
def test_deadlines_that_there_are_not(deadline: Any) -> None:
    with pytest.raises(CrossrankError, match="deadline"):
        cr.Pipeline(cr.Stage(Noisy)).rerank(BASE, QUERIES, GALLERY, deadline=deadline)
    with pytest.raises(CrossrankError, match="deadline_per"):
        cr.Pipeline(cr.Stage(Noisy)).rerank(BASE, QUERIES, GALLERY, deadline_per="list")


def test_runs_that_are_kept_have_no_deadline(tmp_path: Path) -> None:
    given: dict[str, Any] = {"deadline": 3}
    with pytest.raises(CrossrankError, match="deadline"):
        cr.Pipeline(cr.Stage(Noisy)).rerank_to(tmp_path / "run", BASE, QUERIES, GALLERY, **given)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from crossrank.cli import main

    QUERIES.save(tmp_path / "q")
    GALLERY.save(tmp_path / "g")
    cr.Pipeline(cr.Stage(Noisy)).rerank(BASE, QUERIES, GALLERY).to_trec(tmp_path / "base.trec")
    given = ["rerank", "--run", str(tmp_path / "base.trec"), "--queries", str(tmp_path / "q"),
             "--gallery", str(tmp_path / "g"), "--stage", "csls:bank=queries,depth=auto",
             "--stage", "dn:bank=queries"]  # fmt: skip

    def code(*more: str) -> int:
        with pytest.raises(SystemExit) as done:
            main([*given, *more])
        return int(done.value.code or 0)

    assert code("--json") == 0
    capsys.readouterr()
    assert code("-o", str(tmp_path / "o.trec"), "--deadline", "1e-9") == 0
    told = capsys.readouterr().out
    assert "dn was skipped: the deadline of 1e-09 s had passed" in told
    assert code("--json", "--deadline", "1e-9") == 0
    notes = json.loads(capsys.readouterr().out)["queries"][0]["hits"][0]["trace"]
    assert all(each["note"].startswith("skipped") for each in notes)
    assert code("--json", "--deadline", "0") == 2
    assert code("--out", str(tmp_path / "run"), "--deadline", "3") == 2
