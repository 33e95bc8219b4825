"""Image–text contrast from what was computed once per image and text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def contrast(
    image_queries: NDArray[np.float32],
    text_embeddings: NDArray[np.float32],
    images: NDArray[np.int64],
    texts: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return ``[P]``: per pair ``max over queries q of ⟨u_q, t⟩``.

    Parameters
    ----------
    image_queries
        ``[N, queries, D]`` unit rows.
    text_embeddings
        ``[M, D]`` unit rows.
    images, texts
        ``[P]`` rows of both.
    """
    scores = np.zeros(len(images), np.float32)
    order = np.argsort(images, kind="stable")
    starts = np.flatnonzero(np.diff(images[order], prepend=-1))
    for group in np.split(order, starts[1:]):
        if len(group):
            cosines = text_embeddings[texts[group]] @ image_queries[images[group[0]]].T
            scores[group] = cosines.max(axis=1)
    return scores
