"""Sinkhorn: every query and every candidate gets the same share of the whole."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from crossrank.plugin.parameters import checked, positive
from crossrank_hubness.matrices import Floats, held, similarities

TOLERANCE = 1e-9
MOST_ROUNDS = 10_000
"""Sums that have not settled by then will take ages; how far they are is told."""
FAR = 100.0
"""Factors beyond exp(100) are absorbed, long before float64 ends at exp(709)."""

Blocks: TypeAlias = Callable[[], Iterable[tuple[slice, Floats]]]
"""Yields rows of the similarities with these rows ``[n, candidates]``, all of them once."""

log = logging.getLogger(__name__)


def sinkhorn(s: ArrayLike, temperature: float, *, log: bool = False) -> Floats:
    """Scale ``exp(s / temperature)`` to uniform marginals.

    Each row sums to 1/queries and each column to 1/candidates.  It is transductive: the share of a
    candidate depends on all queries.

    Parameters
    ----------
    s
        ``[queries, candidates]`` similarities.
    temperature
        Above 0; the lower, the nearer to a one-to-one assignment, and the slower.
    log
        Whether to return logarithms, which hold for any temperature.

    Returns
    -------
    ndarray
        ``[queries, candidates]`` float64.

    Raises
    ------
    InputError
        If the matrix is not finite.
    ParameterError
        On a temperature that is not positive, or under which the scores of a row vanish.

    Notes
    -----
    Cuturi, Sinkhorn Distances, NIPS 2013; the factors are absorbed into the kernel where they grow
    (Schmitzer, SIAM Journal on Scientific Computing 41, 2019, section 3.1).
    """
    asked = similarities("sinkhorn", s)
    scale = 1 / float(checked("sinkhorn", "temperature", temperature, positive))
    if not asked.size:
        return asked
    rows, columns = potentials(lambda: [(slice(0, len(asked)), asked)], asked.shape, scale)
    logarithms = scale * asked + rows[:, None] + columns
    return logarithms if log else held("sinkhorn", "1 / temperature", logarithms)


def potentials(
    blocks: Blocks,
    shape: tuple[int, ...],
    scale: float,
    tolerance: float = TOLERANCE,
    most_rounds: int = MOST_ROUNDS,
    progress: Callable[[int], None] = lambda rounds: None,
) -> tuple[Floats, Floats]:
    """Return the ``[queries]`` and ``[candidates]`` terms that balance ``scale · s``.

    In ``exp(scale · s + rows + columns)`` rows have their share exactly, columns to the tolerance.

    Parameters
    ----------
    blocks
        See `Blocks`; gone through once a round.
    shape
        Of the whole, neither side 0.
    scale
        The inverse temperature.
    tolerance
        How far, relatively, a sum may be from its share.
    most_rounds
        When to stop in any case; a warning says how far the sums are then.
    progress
        Told the number of rounds so far.
    """
    row_share, column_share = 1 / shape[0], 1 / shape[1]
    rows, columns = np.zeros(shape[0]), np.full(shape[1], np.inf)
    for part, s in blocks():  # the largest entry of every row and column of the kernel becomes 1
        rows[part] = -scale * s.max(axis=1)
        columns = np.minimum(columns, -(scale * s + rows[part, None]).max(axis=0))
    v = np.ones(shape[1])
    for done in range(1, most_rounds + 1):
        sums, u = np.zeros(shape[1]), np.empty(shape[0])
        for part, s in blocks():
            kernel = np.exp(scale * s + rows[part, None] + columns)
            u[part] = row_share / (kernel @ v)
            sums += u[part] @ kernel
        # after the rows were set the columns tell how far it is from balanced
        off = float(np.abs(sums * v / column_share - 1).max())
        progress(done)
        if off <= tolerance:
            break
        if done == most_rounds:
            log.warning(
                "sinkhorn: after %d rounds a column's sum is %.1e away from its share; a higher "
                "temperature than %.3g settles sooner",
                done,
                off,
                1 / scale,
            )
            break
        v = column_share / sums
        if max(np.abs(np.log(u)).max(), np.abs(np.log(v)).max()) > FAR:
            rows, columns, v = rows + np.log(u), columns + np.log(v), np.ones(shape[1])
    return rows + np.log(u), columns + np.log(v)
