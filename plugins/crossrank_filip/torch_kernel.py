"""The arithmetic of late interaction in torch, whose oneDNN kernels beat BLAS on thin products."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from crossrank_filip.kernel import MOST_PADDING, Floats, Integers, Kernel, best_of_runs, padded_rows
from crossrank_filip.shared_memory import as_tensor

Rows: TypeAlias = NDArray[np.int32]
BLOCK = 8
"""Rows of which the best is found first, where runs of them are uneven."""


class TorchKernel(Kernel):
    """Products as a convolution of size 1×1, which torch hands to oneDNN.

    ``torch.mm`` goes to MKL, which takes up to twice the time on thin float32 products (tens of
    columns).  Nothing here calls BLAS through numpy: its threads and torch's would wait for each
    other.
    """

    name = "torch"

    def best_of_segments(
        self, tokens: Floats, part: slice, anchor: Floats, lengths: Integers
    ) -> Floats:
        """See `Kernel.best_of_segments`."""
        # where to look is found before the product, which leaves the caches full of something else
        even = bool((lengths == lengths[0]).all())
        blocks, rows = (None, None) if even else cut(lengths)
        table = products(as_tensor(tokens), part, as_tensor(anchor))
        if even:
            return table.view(len(lengths), -1, len(anchor)).amax(dim=1).numpy()
        if rows is None:
            return best_of_runs(table.numpy(), lengths)
        best = largest_of(table, rows)
        if blocks is not None:
            best = torch.maximum(best, largest_of(block_max(table), blocks))
        return best.numpy()

    def best_of_rows(self, tokens: Floats, part: slice, anchor: Floats) -> Floats:
        """See `Kernel.best_of_rows`."""
        best: Floats = products(as_tensor(tokens), part, as_tensor(anchor)).amax(dim=1).numpy()
        return best


def cut(lengths: Integers) -> tuple[Rows | None, Rows | None]:
    """Return ``[M, B]`` which blocks of rows lie in M uneven runs, and ``[M, E]`` what rows beside.

    So the table is read once as it lies, and a fifth of it is gathered.  Runs that may hold no
    whole block are given by rows alone; of what is too uneven to gather nothing is given.
    """
    if lengths.min() < 2 * BLOCK:
        rows = padded_rows(lengths)
        fits = rows is not None and rows.size <= MOST_PADDING * lengths.sum()
        return None, rows if fits else None
    ends = np.cumsum(lengths, dtype=np.int32)[:, None]
    starts = ends - lengths.astype(np.int32)[:, None]
    first, last = -(-starts // BLOCK), ends // BLOCK - 1
    blocks = np.minimum(first + np.arange(int((last - first).max()) + 1, dtype=np.int32), last)
    if BLOCK * blocks.size > MOST_PADDING * lengths.sum():
        return None, None
    near = np.arange(BLOCK - 1, dtype=np.int32)
    return blocks, np.concatenate([starts + near, ends - 1 - near], axis=1)


def block_max(table: Tensor) -> Tensor:
    """Return ``[N / BLOCK, L]``, the maxima over blocks of rows; what is left over is left out."""
    count = len(table) // BLOCK
    return table[: count * BLOCK].view(count, BLOCK, -1).amax(dim=1)


def largest_of(table: Tensor, rows: Rows) -> Tensor:
    """Return ``[M, L]``, the maxima over ``[M, E]`` rows of ``[N, L]``."""
    found = table.index_select(0, torch.from_numpy(rows.ravel()))
    return found.view(*rows.shape, -1).amax(dim=1)


def products(tokens: Tensor, part: slice, anchor: Tensor) -> Tensor:
    """Return ``[N, L]``: the inner products of N rows of `tokens` with the rows of `anchor`.

    The rows are read, where they lie, as one picture ``[1, D, 1, N]`` with channels last.
    """
    dim = tokens.shape[1]
    picture = tokens[part].view(1, 1, -1, dim).permute(0, 3, 1, 2)
    # With one thread torch keeps plain convolutions of a single picture from oneDNN, but not those
    # with a stride; down a picture of one row, a stride changes nothing.
    table = functional.conv2d(picture, anchor.view(-1, dim, 1, 1), stride=(2, 1))
    return table.permute(0, 2, 3, 1).reshape(-1, len(anchor))
