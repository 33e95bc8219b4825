"""Phrases as vectors: the mean of the words' raw vectors from the encoder ``lite``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import crossrank as cr


def phrase_vectors(phrases: Sequence[str]) -> NDArray[np.float32]:
    """Return ``[P, 384]``: for each phrase, the mean over its words of MiniLM's last layer.

    A phrase in which nothing can be read, such as ``"…"``, has the vector of the word "thing".
    """
    readable = [each if any(map(str.isalnum, each)) else "thing" for each in phrases]
    if not readable:
        return np.zeros((0, 384), np.float32)
    items = [cr.Item(str(row), phrase) for row, phrase in enumerate(readable)]
    words = cr.encode("lite", items, modality="text", features=("words",))["words"]
    sums = np.add.reduceat(words.flat, words.offsets[:-1], axis=0)
    means: NDArray[np.float32] = (sums / words.lengths[:, None]).astype(np.float32)
    return means
