"""Ranks counted in a similarity matrix, without sorting it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import InputError
from crossrank.evaluation._captionmap import CaptionMap
from crossrank.evaluation._ties import Groups

BLOCK_ENTRIES = 1 << 22


def first_ranks_and_groups(
    matrix: NDArray[np.generic], pairs: CaptionMap, name: str = "similarity"
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Groups]]:
    """Return for both directions ranks of the first relevant item, and what shares its score.

    The matrix ``[n_images, n_texts]`` is read once, in blocks of rows; `name` is what a similarity
    that is not finite is refused under.
    """
    own = matrix[pairs.images, pairs.texts]
    image, image_score = _best(pairs.texts, own, pairs.images, pairs.n_texts)
    text, text_score = _best(pairs.images, own, pairs.texts, pairs.n_images)
    columns = np.arange(pairs.n_texts)
    over_image, over_text = np.zeros(pairs.n_texts, np.int64), np.zeros(pairs.n_images, np.int64)
    with_image, with_text = np.zeros(pairs.n_texts, np.int64), np.zeros(pairs.n_images, np.int64)
    above_image = np.zeros(pairs.n_texts, np.int64)
    above_text = np.zeros(pairs.n_images, np.int64)
    step = max(1, BLOCK_ENTRIES // max(1, pairs.n_texts))
    for start in range(0, pairs.n_images, step):
        block = np.asarray(matrix[start : start + step])
        _check_finite(name, block, start)
        rows = np.arange(start, start + len(block))
        higher, equal = block > image_score, block == image_score
        above_image += (higher | (equal & (rows[:, None] < image))).sum(axis=0)
        over_image += higher.sum(axis=0)
        with_image += equal.sum(axis=0)
        best = text_score[rows, None]
        higher, equal = block > best, block == best
        above_text[rows] = (higher | (equal & (columns < text[rows, None]))).sum(axis=1)
        over_text[rows] = higher.sum(axis=1)
        with_text[rows] = equal.sum(axis=1)
    ranks = {
        "t2i": np.where(image >= 0, above_image + 1.0, np.inf),
        "i2t": np.where(text >= 0, above_text + 1.0, np.inf),
    }
    # of the pairs that belong together, those that share the best score of their query
    own_image = np.bincount(pairs.texts[own == image_score[pairs.texts]], minlength=len(image))
    own_text = np.bincount(pairs.images[own == text_score[pairs.images]], minlength=len(text))
    groups = {
        "t2i": Groups(over_image, np.where(image >= 0, with_image, 0), own_image),
        "i2t": Groups(over_text, np.where(text >= 0, with_text, 0), own_text),
    }
    return ranks, groups


def _best(
    queries: NDArray[np.int64],
    scores: NDArray[Any],
    candidates: NDArray[np.int64],
    count: int,
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return ``[Q]`` the best candidate that belongs to each query (−1 for none), and its score."""
    order = np.lexsort((candidates, -scores, queries))
    answered, first = np.unique(queries[order], return_index=True)
    best = np.full(count, -1, np.int64)
    best[answered] = candidates[order][first]
    values = np.zeros(count, scores.dtype)
    values[answered] = scores[order][first]
    return best, values


def _check_finite(name: str, block: NDArray[np.generic], start: int) -> None:
    wrong = ~np.isfinite(block)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(
            f"evaluate_matrix: {name!r} has {block[row, column]} for image {start + row} and text "
            f"{column}; similarities must be finite (use evaluate for lists that are cut)"
        )
