"""The arithmetic of late interaction in torch, whose oneDNN kernels beat BLAS on thin products."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from crossrank_filip.kernel import MOST_PADDING, Floats, Integers, Kernel, best_of_runs, padded_rows
from crossrank_filip.shared_memory import as_tensor


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
        rows = padded_rows(lengths)  # the product leaves the caches full of something else
        table = products(as_tensor(tokens), part, as_tensor(anchor))
        if rows is None:
            return table.view(len(lengths), -1, len(anchor)).amax(dim=1).numpy()
        if rows.size > MOST_PADDING * len(table):
            return best_of_runs(table.numpy(), lengths)
        padded = table.index_select(0, torch.from_numpy(rows.ravel()))
        return padded.view(*rows.shape, len(anchor)).amax(dim=1).numpy()

    def best_of_rows(self, tokens: Floats, part: slice, anchor: Floats) -> Floats:
        """See `Kernel.best_of_rows`."""
        best: Floats = products(as_tensor(tokens), part, as_tensor(anchor)).amax(dim=1).numpy()
        return best


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
