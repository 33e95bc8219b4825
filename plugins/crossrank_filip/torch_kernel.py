"""The arithmetic of late interaction in torch, whose oneDNN kernels beat BLAS on thin products."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from crossrank_filip.kernel import MOST_PADDING, Floats, Integers, Kernel, padded_rows
from crossrank_filip.shared_memory import as_tensor

PICTURES = 16
"""So many at once torch hands to oneDNN with one thread too."""
FEWEST_ROWS = 16 * PICTURES


class TorchKernel(Kernel):
    """Products as a convolution of size 1×1, which torch hands to oneDNN.

    ``torch.mm`` goes to MKL, which takes up to twice the time on thin float32 products (tens of
    columns).  Nothing here calls BLAS through numpy: its threads and torch's would wait for each
    other.
    """

    name = "torch"

    def padded(self, count: int) -> int:
        """See `Kernel.padded`."""
        return padded_size(count)

    def best_of_segments(
        self, tokens: Floats, part: slice, anchor: Floats, lengths: Integers
    ) -> Floats:
        """See `Kernel.best_of_segments`."""
        table = products(as_tensor(tokens), part, as_tensor(anchor))
        return segment_max(table, lengths).numpy()

    def best_of_rows(self, tokens: Floats, part: slice, anchor: Floats) -> Floats:
        """See `Kernel.best_of_rows`."""
        best: Floats = products(as_tensor(tokens), part, as_tensor(anchor)).amax(dim=1).numpy()
        return best


def products(tokens: Tensor, part: slice, anchor: Tensor) -> Tensor:
    """Return ``[N, L]``: the inner products of N rows of `tokens` with the rows of `anchor`.

    The rows are read, where they lie, as pictures ``[16, D, N / 16, 1]`` with channels last.  A
    window that is a little too wide is cheaper than a second product for the rows left over, which
    is made where the tokens end.
    """
    count, size = part.stop - part.start, padded_size(part.stop - part.start)
    if len(tokens) < FEWEST_ROWS:
        return torch.mm(tokens[part], anchor.T)
    size = min(size, len(tokens) // PICTURES * PICTURES)
    first = max(0, min(part.start, len(tokens) - size))
    dim = tokens.shape[1]
    pixels = tokens[first : first + size].view(PICTURES, -1, 1, dim).permute(0, 3, 1, 2)
    table = functional.conv2d(pixels, anchor.view(-1, dim, 1, 1)).permute(0, 2, 3, 1)
    rows = table.reshape(size, -1)[part.start - first :][:count]
    if len(rows) == count:
        return rows
    return torch.cat([rows, torch.mm(tokens[first + size : part.stop], anchor.T)])


def segment_max(table: Tensor, lengths: Integers) -> Tensor:
    """Return ``[M, L]``: the maximum over each of M runs of rows."""
    rows = padded_rows(lengths)
    if rows is None:
        return table.view(len(lengths), -1, table.shape[1]).amax(dim=1)
    if rows.size > MOST_PADDING * len(table):
        starts = np.cumsum(lengths) - lengths
        return torch.from_numpy(np.maximum.reduceat(table.numpy(), starts, axis=0))
    padded = table.index_select(0, torch.from_numpy(rows.ravel()))
    return padded.view(*rows.shape, table.shape[1]).amax(dim=1)


def padded_size(count: int) -> int:
    """Round up to pictures of one size, and to so many rows that they are worth it."""
    return max(-(-count // PICTURES) * PICTURES, FEWEST_ROWS)
