"""Every text's words and every picture's cells, as they were projected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import crossrank as cr

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Projected:
    """The projected vectors of the items that occur in a run.

    Parameters
    ----------
    vectors
        Ragged, ``[L_n, members, dim]`` float32 unit rows per item that occurs.
    place
        ``[N]``: per row of the collection its place among those that occur, else 0.
    """

    vectors: cr.Ragged
    place: Integers

    def padded(self, rows: Integers) -> tuple[Tensor, Tensor | None]:
        """Return some items ``[n, L, members, dim]`` and their mask ``[n, L]``, None if all True.

        Parameters
        ----------
        rows
            ``[n]`` rows of the collection.
        """
        places = self.place[rows]
        lengths, offsets = self.vectors.lengths[places], self.vectors.offsets[places]
        columns = np.arange(int(lengths.max()))
        mask = columns < lengths[:, None]
        taken = self.vectors.flat[np.where(mask, offsets[:, None] + columns, 0)]
        return torch.from_numpy(taken), None if mask.all() else torch.from_numpy(mask)

    def has_vectors(self, rows: Integers) -> NDArray[np.bool_]:
        """Return for some rows of the collection whether there is anything to compare."""
        return self.vectors.lengths[self.place[rows]] > 0
