"""What a trained network makes of pictures and texts: adaptive patches, and words beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

import crossrank as cr
from crossrank.plugin.cached_array import cached_array
from crossrank.plugin.pairs import Side
from crossrank.plugin.torch_device import exact_products
from crossrank.plugin.unit_rows import unit
from crossrank_adamatch.grids import Grid
from crossrank_adamatch.network import AdaMatch
from crossrank_adamatch.patches import Cells, Floats

MOST_CELLS = 1 << 11
"""That go through the network together: nine samples of each are in memory."""
MOST_WORDS = 1 << 13


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Patches with the boxes that a network chooses; see `crossrank_adamatch.patches.PatchSource`.

    Parameters
    ----------
    network
        In evaluation mode, on its device.
    device
        The device.
    digest
        Of the weights.
    still
        Whether the cells of a residual network stay as they lie, none moved.
    """

    network: AdaMatch
    device: str
    digest: str
    still: bool = False

    @property
    def feature(self) -> str:
        """The feature of images that is read."""
        return self.network.sizes.cells

    def count(self, cells: int, grid: Grid | None) -> int:
        """Return how many patches a picture has: as many as cells, and none without a grid."""
        return 0 if grid is None else cells

    def dim(self, cell: int) -> int:
        """Return the size of a patch's token, whatever a cell's feature."""
        return self.network.sizes.dim

    def fingerprint(self) -> str:
        """Return a digest of what makes patches."""
        return f"{self._computes}{', cells' * self.still}"

    @property
    def _computes(self) -> str:
        """The weights, and the device, which rounds in its own way."""
        return f"{self.digest} on {self.device}"

    @torch.inference_mode()
    def make(self, pictures: Sequence[Cells]) -> list[tuple[Floats, Floats]]:
        """Return of each picture the patches' unit tokens and their boxes in the picture."""
        if self.still:
            return [(unit(each.features), each.boxes) for each in pictures]
        found: list[tuple[Floats, Floats]] = []
        for part in _alike(pictures):
            height, width = part[0].grid or (0, 0)
            maps = np.stack([each.features for each in part])
            with exact_products():
                cells = torch.from_numpy(maps).view(len(part), height, width, -1)
                tokens, boxes = (
                    each.cpu().numpy() for each in self.network.look(cells.to(self.device))
                )
            frames = [framed(box, each.boxes) for box, each in zip(boxes, part, strict=True)]
            found += zip(tokens, frames, strict=True)
        return found

    @torch.inference_mode()
    def words(self, side: Side, context: cr.Context) -> cr.Ragged:
        """Return per text that occurs its words' unit rows ``[L, dim]``, made once and kept."""
        words = side.collection[self.network.sizes.words]
        lengths = words.lengths[side.rows]
        key = cr.fingerprint([side.collection.fingerprint(), side.rows, self._computes])
        rows = words.rows_of(side.rows)

        def fill(table: Floats) -> None:
            for start in range(0, len(rows), MOST_WORDS):
                read = np.asarray(words.flat[rows[start : start + MOST_WORDS]], np.float32)
                with exact_products():
                    unit = self.network.read(torch.from_numpy(read).to(self.device))
                table[start : start + len(read)] = unit.cpu().numpy()
                context.progress("adamatch: words", start + len(read), len(rows))

        shape = (len(rows), self.network.sizes.dim)
        return cr.Ragged(cached_array("adamatch-words", context, key, shape, fill), lengths)


def framed(boxes: Floats, cells: Floats) -> Floats:
    """Carry boxes ``[P, 4]`` in [0, 1] of a grid to the picture in which its cells lie."""
    low, high = cells[:, :2].min(axis=0), cells[:, 2:].max(axis=0)
    placed: Floats = np.tile(low, 2) + boxes * np.tile(high - low, 2)
    return placed.clip(0, 1)  # by a rounding error beyond the picture


def _alike(pictures: Sequence[Cells]) -> Iterator[Sequence[Cells]]:
    """Cut pictures into runs of one grid that are not too large."""
    start = 0
    while start < len(pictures):
        grid, stop = pictures[start].grid, start + 1
        most = start + max(1, MOST_CELLS // len(pictures[start].features))
        while stop < min(most, len(pictures)) and pictures[stop].grid == grid:
            stop += 1
        yield pictures[start:stop]
        start = stop
