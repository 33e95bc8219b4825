"""How pictures answer to phrases: the best cell of each, and how high up it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

FOCUS = 30.0
"""Sharpness of the soft place of a phrase, in differences of cosines."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What K pictures answer to P phrases.

    Parameters
    ----------
    best
        ``[K, P]`` the response of the best cell.
    height
        ``[K, P]`` how far down the phrase lies, 0 at the top and 1 at the bottom of the picture;
        0 where that was not asked for.
    """

    best: Floats
    height: Floats


def word_maps(cells: Floats, words: Floats, lengths: Integers) -> tuple[Floats, Floats]:
    """Return ``[C, W]`` cosines of cells and words, and ``[C, P]`` their means over phrases.

    Parameters
    ----------
    cells
        ``[C, D]`` unit rows.
    words
        ``[W, D]`` unit rows, those of a phrase together.
    lengths
        ``[P]`` words of each phrase, at least 1.
    """
    cosines: Floats = cells @ words.T
    starts = np.cumsum(lengths) - lengths
    means: Floats = np.add.reduceat(cosines, starts, axis=1)
    means /= lengths
    return cosines, means


def answers(
    cells: Floats,
    pictures: Integers,
    words: Floats,
    lengths: Integers,
    binding: bool,
    middles: Floats | None,
) -> Answers:
    """Return what pictures answer to phrases.

    With binding, the response of a phrase is ``max_c mean_w <c, w>``: its words meet in one cell.
    Without, it is ``mean_w max_c <c, w>``.

    Parameters
    ----------
    cells
        ``[C, D]`` unit rows, those of a picture together.
    pictures
        ``[K]`` cells of each picture, at least 1.
    words, lengths
        See `word_maps`.
    binding
        See above.
    middles
        ``[C]`` how far down the middle of each cell lies; None if nobody asks for heights.
    """
    cosines, maps = word_maps(cells, words, lengths)
    starts = np.cumsum(pictures) - pictures
    best: Floats = np.maximum.reduceat(maps, starts, axis=0)
    height = np.zeros_like(best)
    if middles is not None:
        near = np.exp(FOCUS * (maps - np.repeat(best, pictures, axis=0)))
        height = np.add.reduceat(near * middles[:, None], starts, axis=0)
        height /= np.add.reduceat(near, starts, axis=0)
    if not binding:
        alone: Floats = np.maximum.reduceat(cosines, starts, axis=0)
        firsts = np.cumsum(lengths) - lengths
        best = np.add.reduceat(alone, firsts, axis=1)
        best /= lengths
    return Answers(best, height)


def mean_of(values: Floats, weights: Floats) -> Floats:
    """Return ``[K]`` the weighted mean of ``[K, U]`` over units."""
    shares = weights.astype(np.float64) / weights.sum(dtype=np.float64)
    mean: Floats = (values.astype(np.float64) @ shares).astype(np.float32)
    return mean


def softmin_of(values: Floats, weights: Floats, sharpness: float) -> Floats:
    """Return ``[K]``: ``−log(Σ_u w_u exp(−s v_u) / Σ_u w_u) / s``, which is near the least unit."""
    shares = weights.astype(np.float64) / weights.sum(dtype=np.float64)
    scaled = -sharpness * values.astype(np.float64)
    most = scaled.max(axis=1, keepdims=True)
    total = np.exp(scaled - most) @ shares
    least: Floats = (-(np.log(total) + most[:, 0]) / sharpness).astype(np.float32)
    return least
