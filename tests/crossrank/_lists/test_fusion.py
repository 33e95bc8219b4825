"""Fusion rules against a naive loop over rows in float64."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import crossrank as cr
from crossrank import RRF, Fusion, Replace, WeightedSum
from crossrank._lists.ordering import ranks
from crossrank._lists.weighted_sum import NORMALISERS
from crossrank.errors import ParameterError

values = st.floats(-100, 100, allow_nan=False).map(lambda value: round(value, 2))


@st.composite
def rows(draw: st.DrawFn) -> dict[str, NDArray[Any]]:
    """One row: previous scores in order, raw scores, and what was valid, seen and scored."""
    count = draw(st.integers(1, 7))
    previous = np.array(draw(st.lists(values, min_size=count, max_size=count)))
    raw = np.array(draw(st.lists(values, min_size=count, max_size=count)))
    valid = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    order = np.lexsort((-previous, ~valid))
    row_ranks = ranks(order[None])[0]
    seen = valid & (row_ranks <= draw(st.integers(0, count)))
    scored = seen & np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    return {
        "previous": previous,
        "previous_ranks": row_ranks,
        "raw": raw,
        "valid": valid,
        "seen": seen,
        "scored": scored,
    }


def fuse(rule: Fusion, row: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    fused = rule.fuse(**{name: column[None] for name, column in row.items()})
    scores: NDArray[np.float64] = fused.scores[0]
    return scores


def naive_normalise(kind: str, x: float, counted: list[float]) -> float:
    if kind == "none":
        return x
    if kind == "softmax":
        return math.exp(x - max(counted)) / sum(math.exp(c - max(counted)) for c in counted)
    if max(counted) == min(counted):
        return 0.0
    if kind == "zscore":
        mean = sum(counted) / len(counted)
        return (x - mean) / math.sqrt(sum((c - mean) ** 2 for c in counted) / len(counted))
    return (x - min(counted)) / (max(counted) - min(counted))


@given(rows(), st.sampled_from(["none", "zscore", "minmax", "softmax"]), values)
@settings(max_examples=300)
def test_weighted_sum_equals_the_loop(
    row: dict[str, NDArray[Any]], normalise: str, weight: float
) -> None:
    found = fuse(WeightedSum(weight, normalise), row)
    scored = np.flatnonzero(row["scored"])
    if len(scored) == 0:  # on the scale of the rows in which something was scored
        old = [row["previous"][place] for place in np.flatnonzero(row["seen"])]
        for place in np.flatnonzero(row["seen"]):
            expected = naive_normalise(normalise, row["previous"][place], old)
            assert found[place] == pytest.approx(expected, rel=1e-6, abs=1e-6)
        return
    old = [row["previous"][place] for place in scored]
    new = [row["raw"][place] for place in scored]
    norms = [naive_normalise(normalise, x, new) for x in new]
    mean = sum(norms) / len(norms)
    for place in np.flatnonzero(row["seen"]):
        own = naive_normalise(normalise, row["raw"][place], new) if row["scored"][place] else mean
        before = row["previous"][place]
        if normalise == "softmax" and before - max(old) > 50:
            continue  # beyond the documented limit of the exponent
        expected = naive_normalise(normalise, before, old) + weight * own
        assert found[place] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(rows())
def test_rank_normalisation_is_the_share_of_others_below(row: dict[str, NDArray[Any]]) -> None:
    found = NORMALISERS["rank"](row["raw"][None], row["scored"][None])[0]
    counted = [row["raw"][place] for place in np.flatnonzero(row["scored"])]
    for place in np.flatnonzero(row["scored"]):
        x = row["raw"][place]
        if len(set(counted)) < 2:
            assert found[place] == 0
            continue
        below = sum(c < x for c in counted)
        ties = sum(c == x for c in counted) - 1
        assert found[place] == pytest.approx((below + ties / 2) / (len(counted) - 1))


@given(rows(), st.sampled_from([1.0, 60.0]))
def test_reciprocal_rank_fusion_equals_the_loop(row: dict[str, NDArray[Any]], k: float) -> None:
    found = fuse(RRF(k), row)
    scored = list(np.flatnonzero(row["scored"]))
    seen = sorted(np.flatnonzero(row["seen"]), key=lambda p: row["previous_ranks"][p])
    if not scored:
        firsts = [1 / (k + rank) for rank in range(1, len(seen) + 1)]
        for first, place in zip(firsts, seen, strict=True):
            assert found[place] == pytest.approx(first + sum(firsts) / len(firsts))
        return
    by_score = sorted(scored, key=lambda p: (-row["raw"][p], row["previous_ranks"][p]))
    second = {place: 1 / (k + rank) for rank, place in enumerate(by_score, 1)}
    mean = sum(second.values()) / len(second)
    for rank, place in enumerate(seen, 1):
        assert found[place] == pytest.approx(1 / (k + rank) + second.get(place, mean))


@given(rows())
def test_replace_keeps_raw_scores_and_puts_abstentions_behind(row: dict[str, NDArray[Any]]) -> None:
    found = fuse(Replace(), row)
    scored, seen = row["scored"], row["seen"]
    if not scored.any():
        return
    np.testing.assert_array_equal(found[scored], row["raw"][scored])
    if (seen & ~scored).any():
        assert found[seen & ~scored].max() < found[scored].min()


@given(rows(), st.sampled_from([Replace(), RRF(), WeightedSum(0.3), WeightedSum(2.0, "rank")]))
def test_what_was_not_seen_stays_below_in_its_order(
    row: dict[str, NDArray[Any]], rule: Fusion
) -> None:
    found = fuse(rule, row)
    unseen = row["valid"] & ~row["seen"]
    if row["scored"].any() and unseen.any():
        assert found[unseen].max() < found[row["seen"]].min()
    order = np.argsort(row["previous_ranks"][unseen])
    assert (np.diff(found[unseen][order]) <= 1e-9).all()


@pytest.mark.parametrize("normalise", ["zscore", "minmax", "rank"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_constant_row_gives_zero(normalise: str, count: int) -> None:
    constant = np.full((1, count), 7.3)
    found = NORMALISERS[normalise](constant, np.ones((1, count), bool))
    np.testing.assert_array_equal(found, np.zeros((1, count)))


def test_the_published_sum_of_mack() -> None:
    base, score = np.array([0.30, 0.29, 0.10]), np.array([0.5, 0.7, 0.9])
    yes = np.ones(3, bool)
    row = {"previous": base, "previous_ranks": np.arange(1, 4), "raw": score}
    found = fuse(WeightedSum(0.15, "none"), {**row, "valid": yes, "seen": yes, "scored": yes})
    np.testing.assert_allclose(found, [0.375, 0.395, 0.235])


@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=6, unique=True))
def test_normalisations_survive_extreme_scores(scores: list[float]) -> None:
    array = np.array([scores])
    for name in ("zscore", "minmax", "softmax", "rank"):
        found = NORMALISERS[name](array, np.ones(array.shape, bool))
        assert np.isfinite(found).all(), name


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WeightedSum(math.nan), "finite"),
        (lambda: WeightedSum("1"), "give a finite number"),  # type: ignore[arg-type]  # the point
        (lambda: WeightedSum(True), "give a finite number"),
        (lambda: WeightedSum(1.0, "z-score"), "did you mean 'zscore'"),
        (lambda: RRF(0), "positive"),
        (lambda: RRF(math.inf), "finite"),
    ],
)
def test_bad_parameters_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def test_rules_are_equal_by_their_parameters() -> None:
    assert WeightedSum(0.5) == WeightedSum(weight=0.5, normalise="zscore")
    assert WeightedSum(0.5) != WeightedSum(0.5, "none")
    assert repr(WeightedSum(0.5)) == "WeightedSum(weight=0.5, normalise='zscore')"


def test_a_fusion_can_be_changed_in_one_place() -> None:
    changed = dataclasses.replace(cr.WeightedSum(0.5), normalise="none")
    assert changed == cr.WeightedSum(0.5, "none") == cr.WeightedSum(weight=0.5, normalise="none")
    assert (changed.weight, repr(changed)) == (0.5, "WeightedSum(weight=0.5, normalise='none')")
    assert type(cr.WeightedSum(2).weight) is float
    with pytest.raises(ParameterError, match="weight is nan; give a finite number"):
        dataclasses.replace(changed, weight=float("nan"))


def test_an_own_fusion_returns_what_is_public() -> None:
    class Keep(cr.Fusion):
        def join(self, previous: Any, ranks: Any, raw: Any, seen: Any, scored: Any) -> cr.Fused:
            return cr.Fused(previous, raw)

    queries, gallery = cr.Collection(["q"], "text"), cr.Collection(["a", "b"], "image")

    class Zero(cr.Reranker):
        info = cr.RerankerInfo(name="zero", summary="nothing")

        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            return cr.Scores(np.zeros(block.index.shape, np.float32))

    lists = cr.Candidates.from_run({"q": {"a": 0.25, "b": 0.5}})
    ranking = cr.Pipeline(cr.Stage(Zero, fusion=Keep())).rerank(lists, queries, gallery)["q"]
    assert [(hit.id, hit.score) for hit in ranking] == [("b", 0.5), ("a", 0.25)]


def two_rows(raw: list[list[float]], previous: list[list[float]]) -> dict[str, NDArray[Any]]:
    """Return a run of rows in which everything is valid, seen and scored but NaN."""
    scores, before = np.array(raw, np.float64), np.array(previous, np.float64)
    valid = np.ones(scores.shape, np.bool_)
    places = np.argsort(np.argsort(-before, axis=1), axis=1) + 1
    return {
        "previous": before,
        "previous_ranks": places.astype(np.int64),
        "raw": np.nan_to_num(scores),
        "valid": valid,
        "seen": valid,
        "scored": ~np.isnan(scores),
    }


def test_a_row_without_an_opinion_has_scores_on_the_scale_of_the_others() -> None:
    """A threshold on the result dropped every query of which the stage knew no noun."""
    nan = math.nan
    run = two_rows([[0.2, 0.9, 0.4], [nan, nan, nan]], [[0.31, 0.30, 0.29], [0.33, 0.32, 0.28]])
    fused = WeightedSum(1.0).fuse(**run).scores
    assert fused[1].tolist() == pytest.approx([0.926, 0.463, -1.389], abs=1e-3)
    assert WeightedSum(0.0).fuse(**run).scores[0].std() == pytest.approx(fused[1].std())


@given(st.integers(1, 4), st.integers(0, 2**32 - 1), st.sampled_from(["zscore", "minmax"]))
def test_statistics_of_the_run_equal_the_loop(count: int, seed: int, normalise: str) -> None:
    rng = np.random.default_rng(seed)
    raw, previous = rng.normal(size=(count, 5)), rng.normal(size=(count, 5))
    raw[rng.random(raw.shape) < 0.3] = math.nan
    run = two_rows(raw.tolist(), previous.tolist())
    found = WeightedSum(0.7, normalise, "run").fuse(**run).scores
    pairs = np.argwhere(run["scored"]).tolist()
    new, old = ([array[q, k] for q, k in pairs] for array in (run["raw"], run["previous"]))
    for q in range(count):
        own = [naive_normalise(normalise, run["raw"][q, k], new) for r, k in pairs if r == q]
        if not own:
            continue
        for k in range(5):
            scored = run["scored"][q, k]
            second = (
                naive_normalise(normalise, run["raw"][q, k], new) if scored else sum(own) / len(own)
            )
            first = naive_normalise(normalise, run["previous"][q, k], old)
            assert found[q, k] == pytest.approx(first + 0.7 * second, rel=1e-6, abs=1e-6)
    if count == 1 and pairs:
        by_row = WeightedSum(0.7, normalise).fuse(**run).scores
        np.testing.assert_allclose(found, by_row, atol=1e-9)


def test_short_lists_are_switches_by_row_and_not_by_run() -> None:
    """With z-scores of a row of two, weight .99 lets the base win and 1.01 the stage."""
    previous = [[0.9, 0.1], [0.5, 0.4]]  # sure of the first, and hardly
    raw = [[0.50, 0.51], [0.1, 0.9]]  # hardly, and sure
    run = two_rows(raw, previous)
    for weight, first in ((0.99, [0, 0]), (1.01, [1, 1])):
        assert WeightedSum(weight).fuse(**run).scores.argmax(axis=1).tolist() == first
        by_run = WeightedSum(weight, statistics="run").fuse(**run).scores
        assert by_run.argmax(axis=1).tolist() == [0, 1]


def test_statistics_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ParameterError, match="statistics is 'all'; give 'row' or 'run'"):
        WeightedSum(statistics="all")
    with pytest.raises(ParameterError, match="goes with normalise=zscore or minmax, not"):
        WeightedSum(normalise="rank", statistics="run")
    assert WeightedSum(statistics="run").transductive and not WeightedSum().transductive
