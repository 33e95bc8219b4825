"""What a detector finds in one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes by falling score.

    Parameters
    ----------
    boxes
        ``[B, 4]`` float32 ``x0, y0, x1, y1`` in [0, 1] of the picture.
    labels
        What each shows.
    scores
        ``[B]`` float32 in [0, 1].
    """

    boxes: Floats
    labels: tuple[str, ...]
    scores: Floats


class Detector(Protocol):
    """Anything that finds boxes."""

    def detect(self, picture: Image.Image) -> Detections:
        """Return what is in an RGB picture."""


def suppress(
    boxes: Floats, scores: Floats, classes: NDArray[np.int64], overlap: float
) -> list[int]:
    """Return the boxes that stay after greedy non-maximum suppression within each class.

    Parameters
    ----------
    boxes, scores, classes
        ``[B, 4]``, ``[B]``, ``[B]``.
    overlap
        A box goes if its intersection over union with a better one of its class is larger.

    Returns
    -------
    list
        Rows by falling score, ties by row.
    """
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)
    waiting = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(waiting):
        best, waiting = int(waiting[0]), waiting[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[waiting, :2])
        high = np.minimum(boxes[best, 2:], boxes[waiting, 2:])
        shared = np.prod(np.maximum(high - low, 0.0), axis=1)
        union = np.maximum(areas[best] + areas[waiting] - shared, 1e-12)
        covered = (classes[waiting] == classes[best]) & (shared / union > overlap)
        waiting = waiting[~covered]
    return kept


def best_detections(
    boxes: Floats,
    scores: Floats,
    classes: NDArray[np.int64],
    names: dict[int, str],
    most: int,
) -> Detections:
    """Clip boxes to the picture and keep the `most` best that are not empty."""
    inside = np.clip(boxes, 0.0, 1.0).astype(np.float32)
    full = np.flatnonzero((inside[:, 2:] > inside[:, :2]).all(axis=1))
    order = full[np.argsort(-scores[full], kind="stable")][:most]
    labels = tuple(names.get(int(classes[row]), str(int(classes[row]))) for row in order)
    return Detections(inside[order], labels, scores[order].astype(np.float32))
