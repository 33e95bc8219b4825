"""Late interaction when only the best few candidates of a query matter.

All pairs are scored from tokens rounded to bfloat16, which some processors multiply several times
as fast, and those that can still be among the best are scored again in float32.  What can be is
decided by a bound on the rounding, not by a guess: the best are the same, with the same scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.optional import required
from crossrank_filip.interaction import MeanOver, late_interaction
from crossrank_filip.kernel import Floats, Integers

WORTH = 4
"""Screening pays for lists at least this many times as long as what is kept."""
OFTEN = 8
"""Rounding pays for candidates that are compared at least so often, on average."""
BFLOAT16, FLOAT32 = 2.0**-8, 2.0**-24
"""The largest relative errors of rounding to these types."""
NATIVE = ("avx512_bf16", "amx_bf16", "bf16")
"""How Linux calls it when a processor multiplies bfloat16: Intel and AMD, Intel's tiles, Arm."""


@dataclass(frozen=True, slots=True)
class Rounded:
    """The tokens of one side in bfloat16, and how far that is from what they were.

    Parameters
    ----------
    exact, short
        The tokens as they were, and as `crossrank_filip.bfloat16_kernel.rounded` gives them.
    mean_norm, max_norm, mean_error, max_error
        Per item, of its tokens' norms and of the norms of their rounding errors.
    """

    exact: cr.Ragged
    short: cr.Ragged
    mean_norm: NDArray[np.float64]
    max_norm: NDArray[np.float64]
    mean_error: NDArray[np.float64]
    max_error: NDArray[np.float64]

    @classmethod
    def of(cls, tokens: cr.Ragged) -> Rounded:
        """Round tokens; worth it where each item is compared several times."""
        required("torch", "filip", "filip, screening in bfloat16,")
        from crossrank_filip.bfloat16_kernel import rounded

        short, norms, errors = rounded(tokens)
        some = np.flatnonzero(tokens.lengths)
        found = np.zeros((4, len(tokens)))
        if len(some):
            starts = tokens.offsets[some]
            for row, values in ((0, norms), (2, errors)):
                found[row, some] = np.add.reduceat(values, starts) / tokens.lengths[some]
                found[row + 1, some] = np.maximum.reduceat(values, starts)
        return cls(tokens, short, *found)


def screened(
    queries: Rounded,
    candidates: Rounded,
    index: Integers,
    mask: NDArray[np.bool_],
    keep: int,
    *,
    mean_over: MeanOver = "queries",
    backend: str = "auto",
) -> Floats:
    """Score every query with its candidates, exactly for the `keep` best of each.

    Parameters
    ----------
    queries, candidates
        Q queries and U candidates.
    index, mask, mean_over, backend
        See `crossrank_filip.interaction.late_interaction`.
    keep
        How many of each list matter.

    Returns
    -------
    ndarray
        ``[Q, K]`` float32.  The `keep` best of a row are those of `late_interaction` with its
        scores; another one's may be approximate and stays below them.
    """
    exact = queries.exact, candidates.exact
    lists = mask & (mask.sum(axis=1) >= WORTH * keep)[:, None]
    if not lists.any():
        return late_interaction(*exact, index, mask, mean_over=mean_over, backend=backend)
    rough = late_interaction(
        queries.short, candidates.short, index, lists, mean_over=mean_over, backend="bfloat16"
    )
    with np.errstate(invalid="ignore", over="ignore"):
        slack = _slack(queries, candidates, index, mean_over)
        lower, upper = rough - slack, rough + slack
        lower[~lists | ~np.isfinite(lower)] = -np.inf
        threshold = np.partition(lower, -keep, axis=1)[:, -keep]
        # written so that what overflowed in bfloat16 is scored again
        again = mask & ~(lists & (upper < threshold[:, None]))
    scores = late_interaction(*exact, index, again, mean_over=mean_over, backend=backend)
    return np.where(again, scores, rough)


def worthwhile(mask: NDArray[np.bool_], candidates: int, keep: int) -> bool:
    """Return whether lists are long, and each candidate stands in enough of them to be rounded."""
    lengths = mask.sum(axis=1)
    long = lengths[lengths >= WORTH * keep]
    return int(long.sum()) >= OFTEN * candidates


def multiplies_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the processor multiplies bfloat16 itself, as far as Linux tells."""
    try:
        lines = cpuinfo.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = {
        flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split()
    }
    return not flags.isdisjoint(NATIVE)


def _slack(
    queries: Rounded, candidates: Rounded, index: Integers, mean_over: MeanOver
) -> NDArray[np.float64]:
    """Return ``[Q, K]`` by how much the two scores of a pair can differ.

    With a and b for tokens and ã and b̃ for what rounding made of them,
    ``|a·b - ã·b̃| ≤ |a - ã| |b̃| + |a| |b - b̃|``, a maximum over b differs by at most the largest of
    these, a mean over a by at most their mean.  Products of two bfloat16 are exact in float32; what
    is left is the rounding of sums and of the result.
    """
    rows = np.arange(len(index))[:, None]
    if mean_over == "queries":
        averaged, searched, left, right = queries, candidates, rows, index
    else:
        averaged, searched, left, right = candidates, queries, index, rows
    norms = averaged.mean_norm[left] * searched.max_norm[right]
    slack: NDArray[np.float64] = (
        averaged.mean_error[left] * (searched.max_norm + searched.max_error)[right]
        + averaged.mean_norm[left] * searched.max_error[right]
        + (1.01 * BFLOAT16 + 4 * queries.exact.trailing[0] * FLOAT32) * norms
    )
    return slack
