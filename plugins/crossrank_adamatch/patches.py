"""What makes the patches of pictures: windows of several scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from crossrank.plugin.unit_rows import unit
from crossrank_adamatch.grids import Grid
from crossrank_adamatch.scales import fitting, window_boxes, window_count, windows

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one picture: what was seen in each, and where they lie.

    Parameters
    ----------
    features
        ``[L, D]`` float32: tokens, or what else a source of patches reads.
    boxes
        ``[L, 4]``: ``x0, y0, x1, y1`` in [0, 1] of the picture.
    grid
        The grid they form, row by row; None if they form none.
    """

    features: Floats
    boxes: Floats
    grid: Grid | None


class PatchSource(Protocol):
    """Makes a picture's patches of its cells."""

    @property
    def feature(self) -> str:
        """The feature of images that holds the cells."""

    def count(self, cells: int, grid: Grid | None) -> int:
        """Return how many patches a picture of so many cells has, 0 if it cannot have any."""

    def dim(self, cell: int) -> int:
        """Return the size of a patch's token, given that of a cell's feature."""

    def make(self, pictures: Sequence[Cells]) -> list[tuple[Floats, Floats]]:
        """Return of each picture the patches' unit tokens ``[P, D]`` and boxes ``[P, 4]``."""

    def fingerprint(self) -> str:
        """Return a digest of all that decides the patches, besides the cells."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of s×s cells; tokens that form no grid stay alone.

    Parameters
    ----------
    sizes
        Each s; a picture goes without those that are larger than its grid.
    """

    sizes: tuple[int, ...]

    @property
    def feature(self) -> str:
        """See `PatchSource.feature`."""
        return "tokens"

    def count(self, cells: int, grid: Grid | None) -> int:
        """See `PatchSource.count`."""
        return cells if grid is None else window_count(*grid, fitting(*grid, self.sizes))

    def dim(self, cell: int) -> int:
        """See `PatchSource.dim`."""
        return cell

    def make(self, pictures: Sequence[Cells]) -> list[tuple[Floats, Floats]]:
        """See `PatchSource.make`."""
        return [self._of(picture) for picture in pictures]

    def fingerprint(self) -> str:
        """See `PatchSource.fingerprint`."""
        return f"windows of {self.sizes}"

    def _of(self, picture: Cells) -> tuple[Floats, Floats]:
        if picture.grid is None:
            return unit(picture.features), picture.boxes
        sizes = fitting(*picture.grid, self.sizes)
        return (
            windows(picture.features, *picture.grid, sizes),
            window_boxes(picture.boxes, *picture.grid, sizes),
        )


def distinct(tokens: NDArray[np.floating[Any]], most: float) -> NDArray[np.bool_]:
    """Return which patches stay if near-equal ones are left out.

    Parameters
    ----------
    tokens
        ``[P, D]`` unit rows; earlier ones are preferred.
    most
        A patch goes if its cosine with an earlier one that stays is at least this.

    Returns
    -------
    ndarray
        ``[P]`` bool, the first of them True.
    """
    near = tokens @ tokens.T >= most
    kept = np.zeros(len(tokens), np.bool_)
    for patch in range(len(tokens)):
        kept[patch] = not (near[patch, :patch] & kept[:patch]).any()
    return kept
