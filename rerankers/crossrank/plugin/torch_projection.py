"""Vectors of the items that occur, put through a network's head once per run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from crossrank._items.ragged import Ragged
from crossrank.plugin.cached_array import scratch_array
from crossrank.plugin.contract import Context
from crossrank.plugin.pairs import Side
from crossrank.plugin.torch_device import exact_products

if TYPE_CHECKING:
    from torch import Tensor

SHARE_OF_BUDGET = 4
ROWS = 4096
"""The most vectors that are projected at a time."""


def projected(
    who: str,
    side: Side,
    names: Sequence[str],
    shape: tuple[int, ...],
    head: Callable[..., Tensor],
    context: Context,
    device: str | None,
) -> Ragged:
    """Return what a head makes of the vectors of each item that occurs, ``[L, *shape]`` float32.

    Parameters
    ----------
    who
        The reranker, for progress.
    side
        The items.
    names
        The ragged features that `head` reads; all of one length per item.
    shape
        Of what becomes of a vector.
    head
        Maps ``[T, D]`` of every feature to ``[T, *shape]``.
    context
        For memory budget and progress: what exceeds a quarter of the budget lies in a temporary
        file instead of memory, and no more than that is read at a time.
    device
        Where the head lies, None for the processor.
    """
    import torch

    features: list[Ragged] = [side.collection[name] for name in names]
    lengths, sources = features[0].lengths[side.rows], features[0].rows_of(side.rows)
    share = context.memory_budget // SHARE_OF_BUDGET
    flat = scratch_array((len(sources), *shape), share)
    numbers = sum(int(np.prod(each.trailing)) for each in features) + int(np.prod(shape))
    step = max(1, min(ROWS, share // (4 * numbers)))
    for start in range(0, len(sources), step):
        part = sources[start : start + step]
        read = [torch.from_numpy(np.asarray(each.flat[part], np.float32)) for each in features]
        with torch.inference_mode(), exact_products():
            flat[start : start + step] = head(*(each.to(device) for each in read)).cpu().numpy()
        context.progress(f"{who}: {names[0]}", start + len(part), len(sources))
    return Ragged(flat, lengths)


__all__ = ["projected"]
