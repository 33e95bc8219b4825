"""The arithmetic of late interaction in numpy: one anchor item against the tokens of many."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import crossrank as cr

Floats: TypeAlias = NDArray[np.float32]
Integers: TypeAlias = NDArray[np.int64]

MOST_PADDING = 3
SERIAL = 1 << 14
"""So few numbers torch converts without starting its threads."""


class Kernel:
    """Products by BLAS, maxima by halving.  Stateless; a subclass may be faster, never different.

    Every method takes the tokens ``[R, D]`` of which it reads the rows `part`, N of them, and the
    ``[L, D]`` tokens of the anchor, all float32; none writes to them.
    """

    name = "numpy"

    def rows(self, tokens: cr.Ragged) -> NDArray[Any]:
        """Return the flat tokens, contiguous, in float32, or in float16 if that is what they are.

        The latter are widened part by part where they are used: a copy of all would not fit the
        caches, and may not fit the memory.
        """
        if tokens.dtype == np.float16:
            return np.ascontiguousarray(tokens.flat)
        return np.ascontiguousarray(tokens.flat, np.float32)

    def gather(self, tokens: NDArray[Any], rows: Integers) -> Floats:
        """Return a float32 copy of some rows; more may follow at its end, which nobody reads."""
        return widened(np.take(tokens, rows, axis=0))

    def best_of_segments(
        self, tokens: Floats, part: slice, anchor: Floats, lengths: Integers
    ) -> Floats:
        """Return ``[M, L]``: for each token of the anchor its best product in M runs of rows.

        Parameters
        ----------
        tokens, part, anchor
            See the class.
        lengths
            ``[M]`` positive, adding up to N.
        """
        table = tokens[part] @ anchor.T
        rows = padded_rows(lengths)
        if rows is not None and rows.size > MOST_PADDING * len(table):
            best: Floats = np.maximum.reduceat(table, np.cumsum(lengths) - lengths, axis=0)
            return best
        halves = table.reshape(len(lengths), -1, len(anchor)) if rows is None else table[rows]
        width = halves.shape[1]
        while width > 1:
            # Halves may overlap, a maximum does not mind; whole rows at a time vectorise.
            half = (width + 1) // 2
            halves = np.maximum(halves[:, :half], halves[:, width - half : width])
            width = half
        return halves[:, 0]

    def best_of_rows(self, tokens: Floats, part: slice, anchor: Floats) -> Floats:
        """Return ``[N]``: for each row its best product with a token of the anchor."""
        # This way round, the maximum runs over whole rows, which vectorises.
        best: Floats = (anchor @ tokens[part].T).max(axis=0)
        return best


def widened(rows: NDArray[Any]) -> Floats:
    """Return float16 as float32, anything else as it is.

    torch does this several times as fast as numpy.  In small parts it does so in this thread: its
    threads would compete with those of BLAS, which wait for the result.
    """
    if rows.dtype != np.float16:
        return rows
    if find_spec("torch") is None:
        return rows.astype(np.float32)
    from crossrank_filip.torch_kernel import as_tensor

    wide = np.empty(rows.shape, np.float32)
    into, values = as_tensor(wide).view(-1), as_tensor(np.ascontiguousarray(rows)).view(-1)
    for start in range(0, len(into), SERIAL):
        into[start : start + SERIAL].copy_(values[start : start + SERIAL])
    return wide


def padded_rows(lengths: Integers) -> Integers | None:
    """Return ``[M, max]`` rows that make M runs equally long, or None where they are already.

    A short run repeats its last row, which leaves its maximum as it is: no value is made up.
    """
    width = int(lengths.max())
    if (lengths == width).all():
        return None
    starts = np.cumsum(lengths) - lengths
    rows: Integers = starts[:, None] + np.minimum(np.arange(width), lengths[:, None] - 1)
    return rows
