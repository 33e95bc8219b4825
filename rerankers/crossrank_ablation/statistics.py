"""Are the differences of a table real?  All of them tested at once, and corrected for it.

Queries of one cluster (captions of one image) are swapped and drawn together, as everywhere in
`crossrank.evaluation`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossrank.evaluation._significance import (
    Significance,
    bootstrap_interval,
    cluster_sums,
    randomisation_test,
)

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


def t_tests(after: Floats, before: Floats) -> Floats:
    """Return ``[T]`` p-values of `scipy.stats.ttest_rel` on ``[T, C]`` sums per cluster.

    NaN where nothing differs.
    """
    from scipy.stats import ttest_rel

    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # equal differences: p is 0 or NaN
        return np.asarray(ttest_rel(after, before, axis=1).pvalue, np.float64)


def holm(p_values: Floats) -> Floats:
    """Return p-values ``[T]`` corrected for how many there are; NaN stays and does not count.

    The smallest of n is multiplied by n, the next by n − 1, …, never less than the one before
    and at most 1: whatever is rejected at α, the chance of any false rejection is at most α.

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
        how = significance
        low, high = bootstrap_interval(
            sums, sizes, how.resamples, how.confidence, how.method, how.seed
        )
        after_sums, _ = cluster_sums(np.array(after)[:, tested].reshape(-1, queries), clusters)
        before_sums, _ = cluster_sums(np.array(before)[:, tested].reshape(-1, queries), clusters)
        for name, found in (
            ("low", low),
            ("high", high),
            ("p_value", randomisation_test(sums, how.resamples, how.seed)),
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
    """Return how many resamples the smallest p needs to be below alpha after Holm; 0 if enough."""
    needed = int(np.ceil(2 * tests / alpha))
    return 0 if not significance.resamples or significance.resamples + 1 > needed else needed


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
