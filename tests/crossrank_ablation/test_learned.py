"""Learned fusions, recall ceilings and marks of who looks at other queries, in a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import InputError
from crossrank.evaluation import as_qrels
from crossrank_ablation.plots import ceilings, plots
from crossrank_fuse import fit
from toys.ablation import Noisy, split

FAST = {"resamples": 199}


def pipeline(*seeds: int, **settings: Any) -> cr.Pipeline:
    return cr.Pipeline(
        [cr.Stage(Noisy, params={"seed": n}, name=f"s{n}", **settings) for n in seeds]
    )


def tuning() -> cr.Split:
    return split(seed=1, name="y")


def rankings(made: cr.Pipeline, data: cr.Split) -> cr.Rankings:
    base = cr.search(data.queries, data.gallery, data.depth)
    return made.rerank(base, data.queries, data.gallery)


def test_a_learned_fusion_is_that_of_fuse(tmp_path: Path) -> None:
    made, tune, data = pipeline(1, 2), tuning(), split()
    result = cr.ablate(made, data, tune, fuse={"methods": ["weights"]}, statistics=FAST)
    cell = next(each for each in result.cells if each.learned)
    rule = fit(rankings(made, tune), tune.qrels, "weights")
    expected = cr.evaluate(
        {"sum": rankings(made, data), "learned": rule.apply(rankings(made, data))},
        data.qrels,
        result.metrics,
        resamples=199,
    )
    assert dict(cell.metrics) == pytest.approx(dict(expected["learned"]), abs=1e-9)
    assert dict(cell.tuned) == pytest.approx(dict(zip(rule.names, rule.weights, strict=True)))
    whole = next(each.name for each in result.cells if each.stages and not each.learned)
    for metric, gain in expected.gains["learned"].items():
        found = cell.comparisons[whole][metric]
        assert found.difference == pytest.approx(gain.difference, abs=1e-9)
        assert found.p_value == gain.p_value
    text = str(result)
    assert "what a learned fusion adds" in text and f"{cell.name} (over {whole})" in text
    assert "what a learned fusion adds" in result.to_markdown().lower()
    assert result.best("t2i") is not cell
    result.save(tmp_path / "out")
    again = cr.AblationResult.open(tmp_path / "out" / "result.json")
    assert [each.learned for each in again.cells] == [each.learned for each in result.cells]


def test_the_losses_of_a_study_are_not_those_of_its_learned_fusions() -> None:
    found = cr.ablate(
        pipeline(1, 2),
        split(),
        tuning(),
        variants="leave_one_out",
        fuse={"methods": ["weights"]},
        statistics=FAST,
    )
    adds = str(found).partition("what each stage adds to the whole")[2]
    assert "weights" not in adds.partition("what a learned fusion adds")[0]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"methods": ["wieghts"]}, "no method 'wieghts'; did you mean 'weights'"),
        ({"method": ["weights"]}, "methods"),
    ],
)
def test_methods_that_there_are_not(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        cr.ablate(pipeline(1), split(), tuning(), fuse=given)


def test_without_a_split_to_learn_on() -> None:
    with pytest.raises(InputError, match=r"learns on \[data.tune\]"):
        cr.ablate(pipeline(1), split(), fuse={"methods": ["weights"]})


def test_the_ceiling_is_what_a_perfect_last_stage_would_reach() -> None:
    data = split()
    result = cr.ablate(pipeline(1), data, grid={"s1.depth": [2, 6]}, statistics=FAST)
    base, qrels = cr.search(data.queries, data.gallery, data.depth), as_qrels(data.qrels)
    for cell in result.cells:
        if cell.stages:
            depth = cell.stages[-1]["depth"]
            near = base.index[np.arange(len(base))[:, None], base.base_order()[:, :depth]]
            found = [
                any(base.candidate_ids[each] in qrels[query] for each in row)
                for query, row in zip(base.query_ids, near, strict=True)
            ]
            assert cell.ceiling == pytest.approx(100 * np.mean(found))
    ((_, steps),) = ceilings(result, "t2i")
    assert [step[0] for step in steps] == [2, 6]
    assert "ceiling" in plots(result)


def test_who_looks_at_other_queries_is_told() -> None:
    fused = cr.WeightedSum(statistics="run")
    result = cr.ablate(pipeline(1, fusion=fused), split(), statistics=FAST)
    assert "looks at the other queries: s1" in str(result)
    assert [each.transductive for each in result.cells] == [False, True]
    assert "looks at the other" not in str(cr.ablate(pipeline(1), split(), statistics=FAST))
