"""Is a gain real?  A paired randomisation test and a bootstrap interval, both by cluster.

Queries that belong together, such as five captions of one image, are not independent.  They are
swapped and drawn together: both procedures see one sum of differences per cluster.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossrank._checking import inside, integer, one_of
from crossrank.errors import InputError

BATCH_ENTRIES = 1 << 21
METHODS = ("percentile", "BCa")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Significance:
    """How gains are tested.

    Parameters
    ----------
    resamples
        Of both procedures; 0 for neither.  The test enumerates all swaps where these are fewer.
    confidence
        Of the interval, in (0, 1).
    method
        Of the interval: ``"percentile"`` or ``"BCa"`` (bias-corrected and accelerated).
    seed
        Of both procedures.

    Raises
    ------
    InputError
        On values out of range.
    """

    resamples: int = 9999
    confidence: float = 0.95
    method: str = "percentile"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, accepted, give in (
            ("resamples", integer(0), "a whole number, 0 for no test"),
            ("confidence", inside(0, 1), "0.95, say"),
            ("seed", integer(0), "a whole number of at least 0"),
            ("method", one_of(*METHODS), " or ".join(METHODS)),
        ):
            value = getattr(self, name)
            if not accepted.accepts(value):
                raise InputError(f"evaluate: {name} is {value!r:.80}; give {give}")
        for name in ("resamples", "seed"):
            object.__setattr__(self, name, int(getattr(self, name)))  # numpy's are no JSON


def cluster_sums(values: Floats, clusters: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return ``[M, C]`` the sums of ``[M, Q]`` values per cluster, and ``[C]`` the sizes."""
    sums = np.array([np.bincount(clusters, weights=row) for row in values], np.float64)
    return sums, np.bincount(clusters).astype(np.float64)


def randomisation_test(sums: Floats, resamples: int = 9999, seed: int = 0) -> Floats:
    """Return ``[M]`` two-sided p-values of a paired randomisation test.

    Under the null hypothesis before and after may be swapped within any cluster, which turns the
    sign of its sum of differences.  The statistic is the total, and
    `scipy.stats.permutation_test` (``permutation_type="samples"``) counts the swaps that are at
    least as extreme: all of them where `resamples` allow it, else a random part, and then p is at
    least ``2 / (resamples + 1)``.

    Parameters
    ----------
    sums
        ``[M, C]`` sums of differences per cluster, C of at least 2.
    resamples, seed
        See `Significance`.

    Notes
    -----
    Fisher, The Design of Experiments, 1935; for retrieval Smucker, Allan and Carterette, CIKM 2007.
    """
    from scipy.stats import permutation_test

    # scipy draws the signs once; one product gives the totals of every row
    def totals(signs: Floats, axis: int) -> Floats:
        return np.asarray(signs @ sums.T)

    tested = permutation_test(
        (np.ones(sums.shape[1]),),
        totals,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=_batch(sums),
        axis=-1,
        random_state=np.random.default_rng(seed),
    )
    return np.asarray(tested.pvalue, np.float64)


def bootstrap_interval(
    sums: Floats,
    sizes: Floats,
    resamples: int = 9999,
    confidence: float = 0.95,
    method: str = "percentile",
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Return ``[M]`` lower and upper ends of intervals around mean differences per query.

    Clusters are drawn with replacement, and the statistic is the sum of their differences over the
    number of their queries (the observed one where no query was drawn).

    Parameters
    ----------
    sums
        ``[M, C]`` sums of differences per cluster, C of at least 2.
    sizes
        ``[C]`` the clusters' numbers of queries, or ``[M, C]`` where each row has its own.
    resamples, confidence, method, seed
        See `Significance`.  Where every cluster has the same mean, and BCa is not defined, both
        ends are that mean.

    Notes
    -----
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 14.
    """
    from scipy.stats import DegenerateDataWarning, bootstrap

    count = sums.shape[1]
    distinct, which = np.unique(np.atleast_2d(sizes), axis=0, return_inverse=True)
    which = np.broadcast_to(which.ravel(), len(sums))
    with np.errstate(invalid="ignore"):
        observed = sums.sum(axis=1) / distinct.sum(axis=1)[which]

    # scipy draws clusters once; how often each was drawn gives the means of every row
    def means(drawn: NDArray[np.int64], axis: int) -> Floats:
        flat = drawn.reshape(-1, drawn.shape[-1]).astype(np.int64)
        places = flat + count * np.arange(len(flat))[:, None]
        times = np.bincount(places.ravel(), minlength=count * len(flat)).reshape(-1, count)
        times = times.astype(np.float64)
        drawn_sizes = (distinct @ times.T)[which]
        there = drawn_sizes > 0
        totals = np.where(there, sums @ times.T, observed[:, None])
        return np.asarray(totals / np.where(there, drawn_sizes, 1.0)).reshape(
            len(sums), *drawn.shape[:-1]
        )

    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # BCa is not defined where all resamples are equal, which is answered below
        warnings.simplefilter("ignore", DegenerateDataWarning)
        resampled = bootstrap(
            (np.arange(count),),
            means,
            vectorized=True,
            n_resamples=resamples,
            batch=_batch(sums),
            axis=-1,
            confidence_level=confidence,
            method=method,
            random_state=np.random.default_rng(seed),
        )
    low, high = resampled.confidence_interval
    return np.where(np.isnan(low), observed, low), np.where(np.isnan(high), observed, high)


def _batch(sums: Floats) -> int:
    longest: int = max(1, *sums.shape)
    return max(1, BATCH_ENTRIES // longest)
