"""A study scores every pair once, and what its cache holds never changes a number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import crossrank as cr
from crossrank_ablation import ScoreCache
from toys.ablation import FAST, Noisy, pipeline, split


def test_sixty_cells_over_three_stages_score_each_pair_once() -> None:
    data = split()
    weights = [0.1, 0.25, 0.5, 1.0, 2.0]
    result = cr.ablate(
        pipeline(1, 2, 3),
        data,
        grid={
            "s1.weight": weights[:3],
            "s2.fusion": ["weighted", "rrf"],
            "s3.weight": weights,
            "s2.weight": [0.5],
            "s3.fusion": ["weighted", "replace"],
        },
        statistics=FAST,
        cache=False,
    )
    assert len(result.cells) - 1 == 3 * 2 * 6
    assert Noisy.calls == sum(cell.scorer_calls for cell in result.cells) == 3
    assert Noisy.pairs == 3 * 60 * 12
    assert [cell.scorer_calls for cell in result.cells[1:]] == [3] + [0] * 35
    assert result.scorer_calls == 3


def test_only_pairs_that_are_new_are_scored() -> None:
    data = split()
    result = cr.ablate(
        pipeline(1, 2),
        data,
        grid={"s1.weight": [0.5, 5.0], "s2.depth": [3]},
        statistics=FAST,
        cache=False,
    )
    first, second = result.cells[1:]
    assert first.pairs_scored == 60 * 12 + 60 * 3
    assert second.scorer_calls <= 1
    assert 0 < second.pairs_scored < 60 * 3
    assert second.pairs_scored + second.pairs_shared == 60 * 12 + 60 * 3


def test_a_second_study_reads_the_cache_and_a_change_does_not() -> None:
    data = split()
    first = cr.ablate(pipeline(1), data, statistics=FAST)
    again = cr.ablate(pipeline(1), data, grid={"s1.weight": [1.0, 3.0]}, statistics=FAST)
    assert (first.cells[1].scorer_calls, again.scorer_calls) == (1, 0)
    assert again.cells[1].pairs_from_cache == 60 * 12
    assert again.cells[1].metrics == first.cells[1].metrics
    moved = np.array(data.gallery["embedding"])
    moved[0] = -moved[0]
    other = cr.Split(data.queries, data.gallery.with_features(embedding=moved), data.qrels)
    for changed, run in ((other, pipeline(1)), (data, pipeline(4))):
        assert cr.ablate(run, changed, statistics=FAST).scorer_calls == 1
    shallow = cr.Split(data.queries, data.gallery, data.qrels, depth=5)
    assert cr.ablate(pipeline(1), shallow, statistics=FAST).scorer_calls == 1


def test_what_the_cache_holds_never_changes_a_number(tmp_path: Path) -> None:
    data = split()
    cache = ScoreCache(tmp_path / "warm")
    for depth in (2, 12):  # other blocks of the same pairs
        cr.ablate(pipeline(2, 1, depth=depth), data, statistics=FAST, cache=cache)
    texts = [
        cr.ablate(
            pipeline(1, 2),
            data,
            grid={"s1.weight": [0.5, 2.0], "s2.depth": [4]},
            statistics=FAST,
            cache=each,
        ).to_csv()
        for each in (cache, False, tmp_path / "cold")
    ]
    assert texts[0] == texts[1] == texts[2]


def test_a_damaged_cache_is_scored_anew(own_cache: Path) -> None:
    data = split()
    first = cr.ablate(pipeline(1), data, statistics=FAST)
    for path in own_cache.glob("*.scores"):
        path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    again = cr.ablate(pipeline(1), data, statistics=FAST)
    assert again.cells[1].scorer_calls == 1
    assert again.to_csv() == first.to_csv()


def test_transductive_scores_are_shared_only_between_equal_lists() -> None:
    data = split()
    stages = [cr.Stage(Noisy, name="s"), cr.Stage("crowded", depth=4)]
    result = cr.ablate(
        cr.Pipeline(stages), data, grid={"s.weight": [0.2, 4.0]}, statistics=FAST, cache=False
    )
    base = cr.search(data.queries, data.gallery, data.depth)
    for cell, weight in zip(result.cells[1:], (0.2, 4.0), strict=True):
        own = cr.Pipeline([cr.Stage(Noisy, fusion=cr.WeightedSum(weight)), stages[1]])
        rankings = own.rerank(base, data.queries, data.gallery)
        expected = cr.evaluate({"it": rankings.to_run()}, data.qrels, result.metrics, resamples=0)
        assert dict(cell.metrics) == pytest.approx(dict(expected["it"]))
        assert cell.pairs_scored >= 60 * 4
