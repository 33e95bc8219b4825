"""Are the differences of a table real?  All of them tested at once, each as scipy would alone.

Queries of one cluster (captions of one image) are swapped and drawn together, as in
`crossrank.evaluation._significance`.  Signs and draws do not depend on what is tested, so scipy
makes them once, and one matrix product gives the statistic of every test.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossrank.evaluation._significance import Significance, cluster_sums

BATCH_ENTRIES = 1 << 21

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One run against another, in one metric.

    Parameters
    ----------
    difference
        Its value minus the other's.
    low, high
        Ends of the bootstrap interval; None where not tested, as with medians.
    p_value, p_t
        Of the paired randomisation test and of the paired t-test, two-sided; None likewise, and
        ``p_t`` where no query differs.
    p_holm, p_t_holm
        The same, corrected over the table.
    wins, ties, losses
        Queries on which it is better, equal, worse.
    """

    difference: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_t: float | None = None
    p_holm: float | None = None
    p_t_holm: float | None = None
    wins: int = 0
    ties: int = 0
    losses: int = 0


def randomisation_tests(sums: Floats, resamples: int = 9999, seed: int = 0) -> Floats:
    """Return ``[T]`` two-sided p-values of paired randomisation tests.

    Each is what ``scipy.stats.permutation_test((row,), numpy.sum, permutation_type="samples")``
    gives for its row with the same seed.

    Parameters
    ----------
    sums
        ``[T, C]`` sums of differences per cluster, C of at least 2.
    resamples, seed
        See `crossrank.evaluation.Significance`.

    Notes
    -----
    Fisher, The Design of Experiments, 1935; for retrieval Smucker, Allan and Carterette, CIKM 2007.
    """
    from scipy.stats import permutation_test

    def totals(signs: Floats, axis: int) -> Floats:
        return signs @ sums.T

    found = permutation_test(
        (np.ones(sums.shape[1]),),
        totals,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, BATCH_ENTRIES // sums.shape[1]),
        axis=-1,
        random_state=np.random.default_rng(seed),
    )
    return np.asarray(found.pvalue, np.float64)


def t_tests(after: Floats, before: Floats) -> Floats:
    """Return ``[T]`` p-values of `scipy.stats.ttest_rel`; NaN where nothing differs.

    Parameters
    ----------
    after, before
        ``[T, C]`` sums per cluster.
    """
    from scipy.stats import ttest_rel

    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # equal differences: p is 0 or NaN
        return np.asarray(ttest_rel(after, before, axis=1).pvalue, np.float64)


def bootstrap_intervals(
    sums: Floats, sizes: Floats, resamples: int = 9999, confidence: float = 0.95, seed: int = 0
) -> tuple[Floats, Floats]:
    """Return ``[T]`` lower and upper ends of percentile intervals around mean differences.

    Clusters are drawn with replacement by `scipy.stats.bootstrap`; the statistic is the sum of
    their differences over the number of their queries (the observed one where none was drawn).

    Parameters
    ----------
    sums, sizes
        ``[T, C]`` sums of differences, and numbers of queries, per cluster; C of at least 2.
    resamples, confidence, seed
        See `crossrank.evaluation.Significance`.

    Notes
    -----
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    from scipy.stats import bootstrap

    count = sums.shape[1]
    with np.errstate(invalid="ignore"):
        observed = (sums.sum(axis=1) / sizes.sum(axis=1))[:, None]
    distinct, which = np.unique(sizes, axis=0, return_inverse=True)

    def means(drawn: NDArray[np.int64], axis: int) -> Floats:
        flat = drawn.reshape(-1, count).astype(np.int64)
        places = flat + count * np.arange(len(flat))[:, None]
        times = np.bincount(places.ravel(), minlength=flat.size).reshape(flat.shape)
        times = times.astype(np.float64)
        drawn_sizes = (distinct @ times.T)[which.ravel()]
        there = drawn_sizes > 0
        found = np.where(there, sums @ times.T, observed) / np.where(there, drawn_sizes, 1.0)
        return np.asarray(found.reshape(len(sums), *drawn.shape[:-1]))

    found = bootstrap(
        (np.arange(count),),
        means,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, BATCH_ENTRIES // count),
        axis=-1,
        confidence_level=confidence,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    low, high = found.confidence_interval
    return np.asarray(low, np.float64), np.asarray(high, np.float64)


def holm(p_values: Floats) -> Floats:
    """Return p-values corrected for how many there are; NaN stays and does not count.

    The smallest of n is multiplied by n, the next by n − 1, …, never less than the one before
    and at most 1: whatever is rejected at α, the chance of any false rejection is at most α.

    Parameters
    ----------
    p_values
        ``[T]``.

    Notes
    -----
    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 1979.
    """
    result = np.full(len(p_values), np.nan)
    counted = np.flatnonzero(~np.isnan(p_values))
    order = counted[np.argsort(p_values[counted], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    result[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return result


def compared(
    after: Sequence[Floats],
    before: Sequence[Floats],
    summed: Sequence[Floats],
    tested: NDArray[np.bool_],
    signs: Floats,
    clusters: NDArray[np.int64],
    significance: Significance,
) -> list[list[Comparison]]:
    """Return, per pair of runs and metric, how they compare; Holm's correction over all of them.

    Parameters
    ----------
    after, before
        P arrays ``[M, N]``: measures per query of both runs.
    summed
        P arrays ``[M]``: the differences of the metrics themselves.
    tested
        ``[M]`` which metrics are means, and can be tested.
    signs
        ``[M]`` 1 where higher is better, −1 where lower is.
    clusters
        ``[N]`` the cluster of each query.
    significance
        How.
    """
    if not after:
        return []
    differences = np.array(after) - np.array(before)
    gains = differences * signs[:, None]
    wins, losses = (gains > 0).sum(axis=2), (gains < 0).sum(axis=2)
    pairs, metrics, queries = differences.shape
    blank = np.full((pairs, metrics), np.nan)
    numbers = {name: blank.copy() for name in ("low", "high", "p_value", "p_t")}
    possible = significance.resamples and tested.any() and len(np.unique(clusters)) > 1
    if possible:
        rows = differences[:, tested].reshape(-1, queries)
        sums, sizes = cluster_sums(rows, clusters)
        count = int(tested.sum())
        spread = np.broadcast_to(sizes, sums.shape)
        how = significance
        low, high = bootstrap_intervals(sums, spread, how.resamples, how.confidence, how.seed)
        after_sums, _ = cluster_sums(np.array(after)[:, tested].reshape(-1, queries), clusters)
        before_sums, _ = cluster_sums(np.array(before)[:, tested].reshape(-1, queries), clusters)
        for name, found in (
            ("low", low),
            ("high", high),
            ("p_value", randomisation_tests(sums, how.resamples, how.seed)),
            ("p_t", t_tests(after_sums, before_sums)),
        ):
            numbers[name][:, tested] = found.reshape(pairs, count)
    numbers["p_holm"] = holm(numbers["p_value"].ravel()).reshape(pairs, metrics)
    numbers["p_t_holm"] = holm(numbers["p_t"].ravel()).reshape(pairs, metrics)
    return [
        [
            Comparison(
                difference=float(summed[pair][metric]),
                **{name: _number(found[pair, metric]) for name, found in numbers.items()},
                wins=int(wins[pair, metric]),
                ties=queries - int(wins[pair, metric]) - int(losses[pair, metric]),
                losses=int(losses[pair, metric]),
            )
            for metric in range(metrics)
        ]
        for pair in range(pairs)
    ]


def enough_resamples(tests: int, significance: Significance, alpha: float) -> int:
    """Return how many resamples the smallest p needs to stay below alpha after Holm; 0 if enough.

    Parameters
    ----------
    tests
        How many there are in the table.
    significance, alpha
        What is used.
    """
    needed = int(np.ceil(2 * tests / alpha))
    return 0 if not significance.resamples or significance.resamples + 1 > needed else needed


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
