"""The objects of a run's images: which boxes are used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError
from crossrank_qperturb.boxes import MOST_BOXES, checked_boxes

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Objects:
    """The boxes of the N images of a run.

    Parameters
    ----------
    boxes
        Per image ``[n, 4]`` float64 in [0, 1].
    numbers
        Per image ``[n]`` which of the image's boxes these are.
    """

    boxes: tuple[NDArray[np.float64], ...]
    numbers: tuple[Integers, ...]


def objects_of(images: cr.Collection, rows: Integers, top_n: int | None) -> Objects:
    """Read the boxes of some images, the best ones if `top_n` says so.

    Parameters
    ----------
    images
        With ``boxes``, and ``box_scores`` where `top_n` is not None.
    rows
        ``[N]``.
    top_n
        How many boxes to use.
    """
    boxes, numbers = [], []
    for row in rows:
        given = images["boxes"][row]
        best = np.arange(len(given))
        if top_n is not None:
            best = _best(images["box_scores"][row], len(given), images.ids[row])[:top_n]
        most = MOST_BOXES if top_n is None else top_n
        boxes += checked_boxes([given[best]], 1, most, [images.ids[row]])
        numbers.append(best)
    return Objects(tuple(boxes), tuple(numbers))


def _best(scores: NDArray[np.floating], count: int, id: str) -> Integers:
    """Return the boxes by falling score, ties as they come."""
    if len(scores) != count or not np.isfinite(scores).all():
        raise InputError(
            f"qperturb: image {id!r} has {count} boxes and the box_scores "
            f"{np.asarray(scores).tolist()}; give a finite score per box"
        )
    return np.argsort(-np.asarray(scores, np.float64), kind="stable")
