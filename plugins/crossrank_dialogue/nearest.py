"""The search of one query after another in the same gallery, exact as `crossrank.search` is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError

STEP = 1 << 16
"""Rows of the gallery at a time."""


class Nearest:
    """Finds what `crossrank.search` finds, to the bit, and checks the gallery only once.

    A product in float32 tells which rows can still be among the first; these are scored again pair
    by pair in float64.  The rounding error of the product is bounded by the longest row.

    Parameters
    ----------
    gallery
        With ``embedding``; memory-mapped or in memory, nothing of it is copied.

    Raises
    ------
    CrossrankError
        As `crossrank.search` does, for a gallery that cannot be searched.
    """

    def __init__(self, gallery: cr.Collection) -> None:
        self.gallery = gallery
        blank = np.zeros((1, _width(gallery)))
        # refuses what cannot be searched
        cr.search(cr.Collection(["check"], "text", embedding=blank), gallery, 1)
        rows = gallery["embedding"]
        self._longest = max(
            float(np.linalg.norm(np.asarray(rows[start : start + STEP], np.float64), axis=1).max())
            for start in range(0, len(rows), STEP)
        )

    def __call__(self, id: str, vector: NDArray[np.float64], depth: int) -> cr.Candidates:
        """Return the rows with the highest inner products, equal ones by row.

        Parameters
        ----------
        id
            Of the query.
        vector
            ``[D]``.
        depth
            How many.
        """
        rows = self.gallery["embedding"]
        if len(vector) != rows.shape[1]:
            raise FeatureMismatchError(
                f"the query's embedding has {len(vector)} numbers and the gallery's "
                f"{rows.shape[1]}; give the encoder that made the gallery"
            )
        count = min(depth, len(rows))
        length = float(np.linalg.norm(vector))
        unit = (vector / length if length > 0 else vector).astype(np.float32)
        rough = np.concatenate(
            [
                np.asarray(rows[start : start + STEP], np.float32) @ unit
                for start in range(0, len(rows), STEP)
            ]
        )
        error = 1.1 * (len(vector) + 8) * 2.0**-24 * max(self._longest, 1e-150)
        worst = np.partition(rough, len(rough) - count)[len(rough) - count]
        near = np.flatnonzero(rough >= worst - 2 * error)
        exact = np.einsum(
            "nd,nd->n", np.tile(vector, (len(near), 1)), rows[near].astype(np.float64)
        )
        best = np.lexsort((near, -exact))[:count]
        return cr.Candidates(
            index=near[best][None].astype(np.int64),
            scores=exact[best][None],
            mask=np.ones((1, count), np.bool_),
            query_ids=(id,),
            candidate_ids=self.gallery.ids,
            direction="t2i" if self.gallery.modality == "image" else None,
        )


def _width(gallery: cr.Collection) -> int:
    shape = getattr(gallery["embedding"], "shape", (0, 0))
    return int(shape[1]) if len(shape) == 2 else 1
