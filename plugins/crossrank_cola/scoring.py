"""Scores of pairs of items whose tokens were projected."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

import crossrank as cr
from crossrank.plugin.torch_device import on_device
from crossrank.plugin.torch_pairs import Padded, score_pairs
from crossrank_cola.network import MMAdapter

ENTRY_BYTES = 4096
"""What a pair needs for each product of a word and a cell, so that chunks stay in the cache."""


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
        Ragged, what `MMAdapter.cells` and `MMAdapter.words` made of the features.
    images, texts
        ``[P]`` places in these.
    device
        Where to score.
    """
    there = on_device(network, None if device == "cpu" else device)

    def work(asked: Padded, listed: Padded) -> Tensor:
        scores: Tensor = there(listed.rows, asked.rows, listed.own, asked.own)
        return scores

    return score_pairs(
        "cola", device, words, cells, texts, images, work, entry_bytes=ENTRY_BYTES
    ).reshape(-1)
