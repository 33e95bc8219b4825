"""Mean and deviation of a stage's scores and of those before it, over a whole run."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from crossrank._checking import checked, finite
from crossrank.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Statistics:
    """What `WeightedSum` standardises with when it is given.

    Parameters
    ----------
    mean, deviation
        Of the stage's raw scores.
    previous_mean, previous_deviation
        Of the scores before it, over the same pairs.

    Raises
    ------
    ParameterError
        If one is not finite, or a deviation negative.
    """

    mean: float
    deviation: float
    previous_mean: float
    previous_deviation: float

    def __post_init__(self) -> None:
        for each in fields(self):
            value = checked("Statistics", each.name, getattr(self, each.name), finite)
            if value < 0 and each.name.endswith("deviation"):
                raise ParameterError(
                    f"Statistics: {each.name} is {value!r}; a deviation is at least 0"
                )

    @classmethod
    def of(
        cls,
        previous: NDArray[np.floating],
        raw: NDArray[np.floating],
        scored: NDArray[np.bool_],
    ) -> Statistics | None:
        """Return the statistics of the scored pairs; None where there is not one.

        Parameters
        ----------
        previous, raw, scored
            ``[Q, K]``.
        """
        if not scored.any():
            return None
        before = previous[scored].astype(np.float64)
        own = raw[scored].astype(np.float64)
        moments = (own.mean(), own.std(), before.mean(), before.std())
        return cls(*map(float, moments)) if np.isfinite(moments).all() else None


def standardised(values: NDArray[np.float64], mean: float, deviation: float) -> NDArray[np.float64]:
    """Return ``(x − mean) / deviation``, 0 where nothing deviates."""
    if not deviation > 0:
        return np.zeros(values.shape)
    return (values - mean) / deviation
