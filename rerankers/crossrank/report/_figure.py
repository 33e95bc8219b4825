"""Figures of pictures under heat maps, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from crossrank.report._heat import colours

if TYPE_CHECKING:
    from crossrank.report._explanation import Panel

INCHES = 1.9
LONGEST = 320
"""Pixels of a picture's longer side."""
LETTERS = 26
"""Of an id, which stands above a picture."""


class HeatMaps(Figure):
    """A figure that notebooks show even if no backend has been chosen."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()


def draw(rows: Sequence[tuple[Image.Image, Sequence[Panel]]]) -> Figure:
    """Return a figure with a row per picture and a column per panel, on one scale of colours."""
    columns = max(len(panels) for _, panels in rows)
    maps = [panel.heat for _, panels in rows for panel in panels if panel.heat is not None]
    values = np.concatenate([each.ravel() for each in maps]) if maps else np.zeros(1)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    figure = HeatMaps(figsize=(INCHES * columns, (INCHES + 0.3) * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for (picture, panels), axes in zip(rows, grid, strict=True):
        small = picture.copy()
        small.thumbnail((LONGEST, LONGEST))
        width, height = small.size
        for place, axis in enumerate(axes):
            axis.set_axis_off()
            if place >= len(panels):
                continue
            panel = panels[place]
            axis.imshow(np.asarray(small), extent=(0, width, height, 0))
            axis.set_title(_short(panel.title), fontsize=8, parse_math=False)
            if panel.heat is not None:
                x0, y0, x1, y1 = panel.extent
                corners = (x0 * width, x1 * width, y1 * height, y0 * height)
                shades = colours(panel.heat, low, high)
                axis.imshow(shades, extent=corners, interpolation="nearest")
            for x0, y0, x1, y1 in panel.boxes:
                corner, sides = (x0 * width, y0 * height), ((x1 - x0) * width, (y1 - y0) * height)
                axis.add_patch(Rectangle(corner, *sides, fill=False, color="white", lw=1.5))
            axis.set_xlim(0, width)
            axis.set_ylim(height, 0)
    return figure


def _short(title: str) -> str:
    first, line, rest = title.partition("\n")
    return (first if len(first) <= LETTERS else f"…{first[1 - LETTERS :]}") + line + rest
