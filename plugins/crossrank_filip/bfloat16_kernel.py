"""The arithmetic of screening: tokens in bfloat16, products summed in float32 by oneDNN."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import crossrank as cr
from crossrank_filip.kernel import Floats, Integers, Kernel
from crossrank_filip.shared_memory import as_tensor
from crossrank_filip.torch_kernel import segment_max

CHUNK = 1 << 15
"""Rows that are converted together."""


class Bfloat16Kernel(Kernel):
    """Approximate products.  numpy has no bfloat16, so between calls the rows are int16."""

    name = "bfloat16"

    def rows(self, tokens: cr.Ragged) -> NDArray[Any]:
        """Return what `rounded` made of the tokens, which it must have."""
        return tokens.flat

    def best_of_segments(
        self, tokens: Floats, part: slice, anchor: Floats, lengths: Integers
    ) -> Floats:
        """See `Kernel.best_of_segments`."""
        best: Floats = segment_max(products(tokens, part, anchor), lengths).numpy()
        return best

    def best_of_rows(self, tokens: Floats, part: slice, anchor: Floats) -> Floats:
        """See `Kernel.best_of_rows`."""
        best: Floats = products(tokens, part, anchor).amax(dim=1).numpy()
        return best


def products(tokens: NDArray[Any], part: slice, anchor: NDArray[Any]) -> Tensor:
    """Return ``[N, L]`` float32, rounded to bfloat16 in between."""
    rows, columns = (as_tensor(each).view(torch.bfloat16) for each in (tokens[part], anchor))
    return torch.mm(rows, columns.T).float()


def rounded(
    tokens: cr.Ragged,
) -> tuple[cr.Ragged, NDArray[np.float64], NDArray[np.float64]]:
    """Return tokens in bfloat16 (as int16), their norms, and the norms of what rounding changed."""
    flat = np.empty(tokens.flat.shape, np.int16)
    norms, errors = np.empty(len(flat)), np.empty(len(flat))
    for start in range(0, len(flat), CHUNK):
        part = slice(start, start + CHUNK)
        exact = as_tensor(np.asarray(tokens.flat[part], np.float32))
        short = exact.bfloat16()
        flat[part] = short.view(torch.int16).numpy()
        norms[part] = exact.norm(dim=1).numpy()
        errors[part] = (exact - short.float()).norm(dim=1).numpy()
    # the norms were computed in float32 themselves
    return cr.Ragged(flat, tokens.lengths), norms * (1 + 1e-5), errors * (1 + 1e-5)
