"""Two pictures, two captions: Winoground's three scores, and Cola's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from crossrank._lists.base_lists import numbers
from crossrank.errors import InputError


@dataclass(frozen=True, slots=True)
class Winoground:
    """Shares of the items, in percent.

    Parameters
    ----------
    text
        Both captions are higher with their picture's own: ``S00 > S01`` and ``S11 > S10``.
    image
        Both pictures are higher with their caption's own: ``S00 > S10`` and ``S11 > S01``; this is
        also Cola's multi-object score.
    group
        Both hold.
    ties
        How many items have an equality among the four comparisons; it counts as a miss.
    items
        How many there are.

    Notes
    -----
    Thrush et al., "Winoground", CVPR 2022; Ray et al., "Cola", NeurIPS 2023.  Chance is 25, 25
    and 16.7 %.
    """

    text: float
    image: float
    group: float
    ties: int
    items: int


def winoground(scores: ArrayLike) -> Winoground:
    """Count the items that a matcher gets right, by strict inequalities.

    Parameters
    ----------
    scores
        ``[n, image, caption]``, two of each; picture 0 belongs to caption 0, picture 1 to 1.

    Raises
    ------
    InputError
        If the shape is not ``[n, 2, 2]``, there is no item, or a score is NaN.
    """
    matrix = numbers("winoground", "the scores", scores)
    if matrix.ndim != 3 or matrix.shape[1:] != (2, 2):
        raise InputError(f"winoground: the scores have the shape {matrix.shape}; give [n, 2, 2]")
    if not len(matrix):
        raise InputError("winoground: there is no item")
    if np.isnan(matrix).any():
        item = int(np.flatnonzero(np.isnan(matrix).any(axis=(1, 2)))[0])
        raise InputError(f"winoground: item {item} has the score NaN")
    own, other = matrix[:, [0, 1], [0, 1]], matrix[:, [0, 1], [1, 0]]
    text = (own > other).all(axis=1)
    image = (own > other[:, ::-1]).all(axis=1)
    ties = ((own == other) | (own == other[:, ::-1])).any(axis=1)
    return Winoground(
        text=100.0 * float(text.mean()),
        image=100.0 * float(image.mean()),
        group=100.0 * float((text & image).mean()),
        ties=int(ties.sum()),
        items=len(matrix),
    )
