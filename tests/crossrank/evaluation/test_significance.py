"""The tests against full enumeration, against scipy on the queries, and against plain loops."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrank.errors import InputError, UnknownIdError
from crossrank.evaluation import (
    Significance,
    bootstrap_interval,
    cluster_folds,
    evaluate,
    randomisation_test,
)
from crossrank.evaluation._significance import cluster_sums

whole = st.integers(-3, 3).map(float)


def enumerated(sums: list[float]) -> float:
    """Try every sign and count totals at least as extreme, on the side that has fewer."""
    observed = sum(sums)
    totals = [
        sum(sign * value for sign, value in zip(signs, sums, strict=True))
        for signs in itertools.product((1, -1), repeat=len(sums))
    ]
    upper = sum(total >= observed for total in totals) / len(totals)
    lower = sum(total <= observed for total in totals) / len(totals)
    return min(1.0, 2 * min(upper, lower))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(whole, min_size=5, max_size=5), min_size=1, max_size=3))
def test_few_clusters_are_enumerated_in_full(rows: list[list[float]]) -> None:
    expected = [enumerated(row) for row in rows]
    np.testing.assert_allclose(randomisation_test(np.array(rows), 999), expected, rtol=1e-12)


def test_single_queries_equal_scipy_on_before_and_after() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=(2, 60)), rng.normal(0.2, 1, size=(2, 60))
    found = randomisation_test(after - before, 999, seed=7)
    for row in range(2):
        expected = scipy.stats.permutation_test(
            (after[row], before[row]),
            lambda left, right, axis: left.sum(axis) - right.sum(axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=999,
            random_state=np.random.default_rng(7),
        )
        assert found[row] == pytest.approx(expected.pvalue)


def test_clusters_swap_together() -> None:
    """Five equal differences in one cluster are one coin, not five."""
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(8), 5)
    differences = np.repeat(rng.integers(-2, 4, 8), 5).astype(float)[None]
    sums, sizes = cluster_sums(differences, clusters)
    assert sizes.tolist() == [5.0] * 8
    assert randomisation_test(sums, 9999)[0] == pytest.approx(enumerated(sums[0].tolist()))
    alone = randomisation_test(differences, 9999)[0]
    assert alone < randomisation_test(sums, 9999)[0]


def test_clusters_are_summed_as_a_loop_would() -> None:
    rng = np.random.default_rng(2)
    clusters, values = rng.integers(0, 4, 30), rng.normal(size=(3, 30))
    clusters[:4] = range(4)
    sums, sizes = cluster_sums(values, clusters)
    for cluster in range(4):
        members = [query for query in range(30) if clusters[query] == cluster]
        assert sizes[cluster] == len(members)
        for row in range(3):
            assert sums[row, cluster] == pytest.approx(sum(values[row, q] for q in members))


def test_the_smallest_p_of_a_random_part() -> None:
    assert randomisation_test(np.ones((1, 40)), 999)[0] == pytest.approx(2 / 1000)


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_the_same_gain_everywhere_is_an_interval_without_width(method: str) -> None:
    sizes = np.array([1.0, 2.0, 5.0])
    low, high = bootstrap_interval(0.25 * sizes[None], sizes, 99, method=method)
    assert (low[0], high[0]) == (0.25, 0.25)


def test_nothing_gained_is_not_significant() -> None:
    sums = np.zeros((1, 30))
    assert randomisation_test(sums, 99)[0] == 1.0
    for method in ("percentile", "BCa"):
        low, high = bootstrap_interval(sums, np.ones(30), 99, method=method)
        assert (low[0], high[0]) == (0.0, 0.0)


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_single_queries_have_the_interval_of_scipy(method: str) -> None:
    values = np.random.default_rng(3).exponential(size=(1, 50))
    low, high = bootstrap_interval(values, np.ones(50), 999, 0.9, method, seed=4)
    expected = scipy.stats.bootstrap(
        (values[0],),
        np.mean,
        n_resamples=999,
        confidence_level=0.9,
        method=method,
        random_state=np.random.default_rng(4),
    ).confidence_interval
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high))


def test_clusters_of_any_size_are_drawn_whole_as_a_loop_would() -> None:
    rng = np.random.default_rng(5)
    clusters = np.repeat(np.arange(12), rng.integers(1, 6, 12))
    differences = rng.normal(0.3, 1, len(clusters)) + rng.normal(size=12)[clusters]
    sums, sizes = cluster_sums(differences[None], clusters)
    low, high = bootstrap_interval(sums, sizes, 4000)
    means = []
    for _ in range(4000):
        drawn = [differences[clusters == each] for each in rng.integers(0, 12, 12)]
        means.append(np.concatenate(drawn).mean())
    spread = np.std(means)
    assert abs(low[0] - np.percentile(means, 2.5)) < 0.1 * spread
    assert abs(high[0] - np.percentile(means, 97.5)) < 0.1 * spread


def naive_bca(differences: np.ndarray, clusters: np.ndarray, confidence: float) -> list[float]:
    """Efron and Tibshirani, equations 14.9 to 14.15, one cluster left out at a time."""
    names, rng = np.unique(clusters), np.random.default_rng(9)
    members = [differences[clusters == each] for each in names]

    def mean(chosen: list[int]) -> float:
        return float(np.concatenate([members[each] for each in chosen]).mean())

    everything = list(range(len(names)))
    means = np.array([mean(rng.choice(everything, len(names)).tolist()) for _ in range(4000)])
    left_out = np.array([mean([other for other in everything if other != o]) for o in everything])
    away = left_out.mean() - left_out
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    normal = scipy.stats.norm
    bias = normal.ppf((means < mean(everything)).mean())
    ends = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        moved = bias + normal.ppf(tail)
        ends.append(normal.cdf(bias + moved / (1 - acceleration * moved)))
    return [float(np.quantile(means, end)) for end in ends]


def test_bca_leaves_out_whole_clusters_and_measures_do_not_mix() -> None:
    rng = np.random.default_rng(5)
    clusters = np.repeat(np.arange(15), rng.integers(1, 6, 15))
    differences = rng.exponential(1, (2, len(clusters))) ** 2
    sums, sizes = cluster_sums(differences, clusters)
    lows, highs = bootstrap_interval(sums, sizes, 4000, method="BCa")
    for row in range(2):
        low, high = naive_bca(differences[row], clusters, 0.95)
        assert abs(lows[row] - low) < 0.05 * (high - low)
        assert abs(highs[row] - high) < 0.05 * (high - low)
        single = bootstrap_interval(sums[[row]], sizes, 4000, method="BCa")
        assert (lows[row], highs[row]) == pytest.approx((single[0][0], single[1][0]))


@pytest.mark.parametrize("batch", [1, 64, 10**9])
def test_memory_bounds_do_not_change_the_result(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums, sizes = np.random.default_rng(6).normal(size=(2, 20)), np.ones(20)
    expected = randomisation_test(sums, 199), bootstrap_interval(sums, sizes, 199)
    monkeypatch.setattr("crossrank.evaluation._significance.BATCH_ENTRIES", batch)
    np.testing.assert_array_equal(randomisation_test(sums, 199), expected[0])
    np.testing.assert_allclose(bootstrap_interval(sums, sizes, 199), expected[1], rtol=1e-12)


def captions_of_images(count: int) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Each image has five captions; every one of them finds it, or none does."""
    images = [f"i{number}" for number in range(count)]
    qrels = {f"{image}#{place}": image for image in images for place in range(5)}
    rng = np.random.default_rng(8)
    hit = dict(zip(images, rng.random(count) < 0.7, strict=True))
    run = {
        query: {image: 1.0, "other": 0.5} if hit[image] else {"other": 1.0, image: 0.5}
        for query, image in qrels.items()
    }
    return run, qrels


def test_captions_of_one_image_are_one_cluster_by_default() -> None:
    after, qrels = captions_of_images(6)
    before = {query: {"other": 1.0, image: 0.5} for query, image in qrels.items()}
    found = evaluate({"before": before, "after": after}, qrels, ["R@1"])
    gained = [after[f"i{image}#0"][f"i{image}"] == 1.0 for image in range(6)]
    expected = enumerated([500.0 * each for each in gained])
    assert found.gains["after"]["R@1"].p_value == pytest.approx(expected)
    assert found.clusters.tolist() == np.repeat(np.arange(6), 5).tolist()


@pytest.mark.parametrize(("clusters", "folds", "parts"), [(9, 5, 5), (3, 5, 3), (1, 5, 1)])
def test_folds_keep_clusters_whole_and_are_alike_in_size(
    clusters: int, folds: int, parts: int
) -> None:
    of_queries = np.repeat(np.arange(clusters), 4)
    found = cluster_folds(of_queries, folds, seed=1)
    assert sorted(set(found.tolist())) == list(range(parts))
    each = [len(set(found[of_queries == cluster])) for cluster in range(clusters)]
    assert each == [1] * clusters
    sizes = np.bincount(found) // 4
    assert sizes.max() - sizes.min() <= 1
    assert np.array_equal(found, cluster_folds(of_queries, folds, seed=1))


def test_clusters_may_be_given() -> None:
    after, qrels = captions_of_images(6)
    before = {query: {"other": 1.0, image: 0.5} for query, image in qrels.items()}
    systems = {"before": before, "after": after}
    labels = {query: image in ("i0", "i1", "i2") for query, image in qrels.items()}
    found = evaluate(systems, qrels, ["R@1"], clusters=labels)
    assert found.clusters.tolist() == [0] * 15 + [1] * 15
    assert found.gains["after"]["R@1"].p_value == pytest.approx(0.5)
    del labels["i1#3"]
    with pytest.raises(UnknownIdError, match="no cluster for 1 queries, such as 'i1#3'"):
        evaluate(systems, qrels, ["R@1"], clusters=labels)


def test_a_gain_lies_in_its_interval_and_seed_and_resamples_are_recorded() -> None:
    after, qrels = captions_of_images(40)
    before = {query: {"other": 1.0, image: 0.5} for query, image in qrels.items()}
    found = evaluate(
        {"before": before, "after": after}, qrels, resamples=499, confidence=0.8, seed=11
    )
    gain = found.gains["after"]["R@1"]
    assert gain.low is not None and gain.high is not None and gain.p_value is not None
    assert gain.difference == found["after"]["R@1"] - found["before"]["R@1"]
    assert gain.low < gain.difference < gain.high and gain.p_value == pytest.approx(2 / 500)
    assert found.significance == Significance(499, 0.8, "percentile", 11)
    assert found.to_dict()["significance"] == {
        "resamples": 499,
        "confidence": 0.8,
        "method": "percentile",
        "seed": 11,
    }
    again = evaluate(
        {"before": before, "after": after}, qrels, resamples=499, confidence=0.8, seed=11
    )
    assert again == found


def test_medians_sums_single_clusters_and_no_resamples_are_not_tested() -> None:
    after, qrels = captions_of_images(4)
    before = {query: {"other": 1.0, image: 0.5} for query, image in qrels.items()}
    systems = {"before": before, "after": after}
    found = evaluate(systems, qrels, ["MedR", "NumRelRet", "MRR"]).gains["after"]
    assert found["MedR"].p_value is None and found["NumRelRet"].p_value is None
    assert found["MRR"].p_value is not None
    assert evaluate(systems, qrels, ["MRR"], resamples=0).gains["after"]["MRR"].low is None
    one = evaluate(systems, qrels, ["MRR"], clusters=dict.fromkeys(qrels, 0))
    assert one.gains["after"]["MRR"].p_value is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"resamples": -1}, "resamples is -1"),
        ({"resamples": 2.5}, "resamples is 2.5"),
        ({"resamples": True}, "resamples is True"),
        ({"confidence": 95}, "confidence is 95"),
        ({"method": "bca"}, "method is 'bca'"),
    ],
)
def test_settings_out_of_range(arguments: dict[str, float], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Significance(**arguments)  # type: ignore[arg-type]


def sparse(tests: int, clusters: int, seed: int = 0) -> np.ndarray:
    """Differences as R@1 makes them: mostly 0."""
    rng = np.random.default_rng(seed)
    return rng.choice([0.0, 100.0, -100.0], size=(tests, clusters), p=[0.8, 0.14, 0.06])


@pytest.mark.parametrize("clusters", [2, 5, 40])
@pytest.mark.parametrize("kind", ["sparse", "dense"])
def test_every_p_value_is_what_scipy_gives_for_it_alone(clusters: int, kind: str) -> None:
    rng = np.random.default_rng(3)
    sums = sparse(6, clusters) if kind == "sparse" else rng.normal(0.2, 1, size=(6, clusters))
    found = randomisation_test(sums, resamples=499, seed=7)
    for row, p in zip(sums, found, strict=True):
        alone = scipy.stats.permutation_test(
            (row,),
            lambda values, axis: values.sum(axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=499,
            random_state=np.random.default_rng(7),
        )
        assert p == alone.pvalue


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_rows_with_sizes_of_their_own_are_as_each_alone(method: str) -> None:
    rng = np.random.default_rng(1)
    sums = rng.normal(size=(4, 25))
    sizes = rng.integers(1, 6, size=(4, 25)).astype(float)
    low, high = bootstrap_interval(sums, sizes, 299, 0.9, method, 5)
    for row in range(4):
        alone = bootstrap_interval(sums[row : row + 1], sizes[row], 299, 0.9, method, 5)
        assert low[row] == pytest.approx(alone[0][0], rel=1e-9)
        assert high[row] == pytest.approx(alone[1][0], rel=1e-9)
