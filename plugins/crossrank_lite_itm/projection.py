"""Every text's words and every picture's cells, projected once per run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import crossrank as cr
from crossrank.plugin.cached_array import scratch_array
from crossrank.plugin.pairs import Side
from crossrank.plugin.torch_device import exact_products

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

SHARE_OF_BUDGET = 4
ROWS = 4096
"""The most vectors that are projected at a time."""


@dataclass(frozen=True, slots=True)
class Projected:
    """The projected vectors of the items that occur in a run.

    Parameters
    ----------
    vectors
        Ragged, ``[L_n, members, dim]`` float32 unit rows per item that occurs.
    place
        ``[N]``: per row of the collection its place among those that occur, else 0.
    """

    vectors: cr.Ragged
    place: Integers

    def padded(self, rows: Integers) -> tuple[Tensor, Tensor | None]:
        """Return some items ``[n, L, members, dim]`` and their mask ``[n, L]``, None if all True.

        Parameters
        ----------
        rows
            ``[n]`` rows of the collection.
        """
        places = self.place[rows]
        lengths, offsets = self.vectors.lengths[places], self.vectors.offsets[places]
        columns = np.arange(int(lengths.max()))
        mask = columns < lengths[:, None]
        taken = self.vectors.flat[np.where(mask, offsets[:, None] + columns, 0)]
        return torch.from_numpy(taken), None if mask.all() else torch.from_numpy(mask)

    def has_vectors(self, rows: Integers) -> NDArray[np.bool_]:
        """Return for some rows of the collection whether there is anything to compare."""
        found: NDArray[np.bool_] = self.vectors.lengths[self.place[rows]] > 0
        return found


@torch.inference_mode()
def project(
    side: Side,
    names: Sequence[str],
    shape: tuple[int, int],
    head: Callable[..., Tensor],
    context: cr.Context,
    device: str | None,
) -> Projected:
    """Project the vectors of the items that occur.

    Parameters
    ----------
    side
        The items.
    names
        The features that `head` reads; all of one length per item.
    shape
        Members and dim of a projected vector.
    head
        Maps ``[T, D]`` of every feature to ``[T, members, dim]``.
    context
        For memory budget and progress: what exceeds a quarter of the budget lies in a temporary
        file instead of memory, and no more than that is read at a time.
    device
        Where the head lies, None for the processor.
    """
    features: list[cr.Ragged] = [side.collection[name] for name in names]
    lengths = features[0].lengths[side.rows]
    size = (int(lengths.sum()), *shape)
    share = context.memory_budget // SHARE_OF_BUDGET
    flat = scratch_array(size, share)
    sources = features[0].rows_of(side.rows)
    numbers = sum(int(np.prod(each.trailing)) for each in features) + int(np.prod(shape))
    step = max(1, min(ROWS, share // (4 * numbers)))
    for start in range(0, len(sources), step):
        part = sources[start : start + step]
        read = [torch.from_numpy(np.asarray(each.flat[part], np.float32)) for each in features]
        with exact_products():
            flat[start : start + step] = head(*(each.to(device) for each in read)).cpu().numpy()
        context.progress(f"lite_itm: {names[0]}", min(start + step, len(sources)), len(sources))
    return Projected(cr.Ragged(flat, lengths), side.places)
