"""Tokens of every item, projected once per run, and scores of pairs of them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import crossrank as cr
from crossrank.plugin.cached_array import scratch_array
from crossrank.plugin.pairs import Side
from crossrank.plugin.torch_device import exact_products
from crossrank.plugin.torch_pairs import Padded, score_pairs
from crossrank_cola.network import MMAdapter

SHARE_OF_BUDGET = 4
"""At most this part of the budget is memory that the tokens of a side take."""
ROWS = 4096
"""Vectors that are projected at a time."""
ENTRY_BYTES = 4096
"""What a pair needs for each product of a word and a cell, so that chunks stay in the cache."""


@torch.inference_mode()
def projected(
    side: Side, feature: str, head: Callable[[Tensor], Tensor], device: str, context: cr.Context
) -> cr.Ragged:
    """Return per item that occurs its tokens ``[L, dim]``, float32.

    Parameters
    ----------
    side
        The items.
    feature
        Ragged, what `head` reads.
    head
        Maps ``[T, D]`` to ``[T, dim]``.
    device
        Where it lies.
    context
        For memory budget and progress: what exceeds a quarter of the budget lies in a file.
    """
    features: cr.Ragged = side.collection[feature]
    lengths, sources = features.lengths[side.rows], features.rows_of(side.rows)
    dim = head(torch.zeros((1, features.trailing[0]), device=device)).shape[1]
    flat = scratch_array((len(sources), dim), context.memory_budget // SHARE_OF_BUDGET)
    for start in range(0, len(sources), ROWS):
        part = sources[start : start + ROWS]
        read = torch.from_numpy(np.asarray(features.flat[part], np.float32)).to(device)
        with exact_products():
            flat[start : start + ROWS] = head(read).cpu().numpy()
        context.progress(f"cola: {feature}", start + len(part), len(sources))
    return cr.Ragged(flat, lengths)


def score_pairs_of(
    network: MMAdapter,
    cells: cr.Ragged,
    words: cr.Ragged,
    images: NDArray[np.int64],
    texts: NDArray[np.int64],
    device: str,
) -> NDArray[np.float32]:
    """Return ``[P]`` the scores of pairs, every one with a cell and a word.

    Parameters
    ----------
    network
        The adapter, on the processor.
    cells, words
        What `projected` returned.
    images, texts
        ``[P]`` places in these.
    device
        Where to score.
    """
    there = network if device == "cpu" else copy.deepcopy(network).to(device)

    def work(asked: Padded, listed: Padded) -> Tensor:
        scores: Tensor = there(listed.rows, asked.rows, listed.own, asked.own)
        return scores

    found: NDArray[np.float32] = score_pairs(
        "cola", device, words, cells, texts, images, work, entry_bytes=ENTRY_BYTES
    ).reshape(-1)
    return found
