"""From numbers per query to an `Evaluation`: summing up, gains, significance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import InputError, nearest
from crossrank.evaluation._measures import Measure
from crossrank.evaluation._result import Evaluation, Gain
from crossrank.evaluation._significance import (
    Significance,
    bootstrap_interval,
    cluster_sums,
    randomisation_test,
)
from crossrank.evaluation._ties import Ties

Floats = NDArray[np.float64]


def compare(
    values: Mapping[str, Floats],
    measures: Sequence[Measure],
    query_ids: Sequence[str],
    clusters: NDArray[np.int64],
    baseline: str | None,
    significance: Significance,
    direction: str | None = None,
    notes: Sequence[str] = (),
    ties: Mapping[str, Ties] | None = None,
) -> Evaluation:
    """Hold systems against the baseline, the first of them by default.

    Per system, `values` are ``[M, Q]`` measures per query; `clusters` are ``[Q]``.  For the others
    see `Evaluation`.
    """
    first = next(iter(values)) if baseline is None else baseline
    if not isinstance(first, str) or first not in values:
        raise InputError(f"evaluate: no system {first!r:.80} as baseline{nearest(first, values)}")
    summed = {
        name: [each.summed_up(row) for each, row in zip(measures, array, strict=True)]
        for name, array in values.items()
    }
    names = tuple(each.name for each in measures)

    def gains(name: str) -> dict[str, Gain]:
        summed_up = np.subtract(summed[name], summed[first])
        averaged = [each.summary == "mean" for each in measures]
        differences = values[name] - values[first]
        own = _gains(summed_up, differences, averaged, clusters, significance)
        return dict(zip(names, own, strict=True))

    return Evaluation(
        metrics=names,
        rows={name: dict(zip(names, row, strict=True)) for name, row in summed.items()},
        gains={name: gains(name) for name in values if name != first},
        baseline=first,
        query_ids=tuple(query_ids),
        per_query={name: dict(zip(names, array, strict=True)) for name, array in values.items()},
        clusters=clusters,
        significance=significance,
        direction=direction,
        notes=tuple(notes),
        ties={} if ties is None else dict(ties),
    )


def _gains(
    summed: Floats,
    differences: Floats,
    averaged: Sequence[bool],
    clusters: NDArray[np.int64],
    significance: Significance,
) -> list[Gain]:
    """Test the measures that are means; a median of whole numbers hardly ever moves."""
    gains = [Gain(float(each)) for each in summed]
    tested = np.flatnonzero(averaged)
    if not significance.resamples or not len(tested) or len(np.unique(clusters)) < 2:
        return gains
    sums, sizes = cluster_sums(differences[tested], clusters)
    how = significance
    p_values = randomisation_test(sums, how.resamples, how.seed)
    lows, highs = bootstrap_interval(
        sums, sizes, how.resamples, how.confidence, how.method, how.seed
    )
    for row, place in enumerate(tested):
        gains[place] = Gain(
            gains[place].difference, float(lows[row]), float(highs[row]), float(p_values[row])
        )
    return gains
