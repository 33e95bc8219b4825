"""Heat maps: how well each patch of a picture fits each word, as a small picture to lay over it."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Box: TypeAlias = tuple[float, float, float, float]
"""``x0, y0, x1, y1`` in [0, 1] of a picture."""

# Dark violet over red to pale yellow: lightness rises all the way, so the order of the colours can
# be read without telling red from green.
ANCHORS = np.array(
    [[20, 11, 53], [92, 22, 110], [168, 44, 92], [229, 92, 48], [251, 165, 26], [252, 250, 180]],
    dtype=np.float64,
)
OPACITY = (0.45, 0.9)
"""Of the first and the last colour, so that the picture can be seen where nothing fits."""


@dataclass(frozen=True, slots=True)
class WordMaps:
    """Similarities of words and patches, laid out as the patches lie in the picture.

    Parameters
    ----------
    values
        ``[words, rows, columns]`` float64 cosine similarities, NaN where no patch lies.
    extent
        The part of the picture that the patches cover.
    """

    values: NDArray[np.float64]
    extent: Box


def word_maps(
    words: NDArray[np.floating], patches: NDArray[np.floating], boxes: NDArray[np.floating]
) -> WordMaps:
    """Compare every word with every patch.

    Parameters
    ----------
    words
        ``[L, D]`` unit rows.
    patches
        ``[P, D]`` unit rows.
    boxes
        ``[P, 4]`` where each patch lies, ``x0, y0, x1, y1`` in [0, 1]; they form a grid.  Coarser
        ones that begin in the same places, as of a whole beside its tiles, give way to it.
    """
    similarity = words.astype(np.float64) @ patches.astype(np.float64).T
    placed = np.round(boxes.astype(np.float64), 6)
    lefts, columns = np.unique(placed[:, 0], return_inverse=True)
    uppers, rows = np.unique(placed[:, 1], return_inverse=True)
    values = np.full((len(words), len(uppers), len(lefts)), np.nan)
    coarse_first = np.argsort(-np.prod(placed[:, 2:] - placed[:, :2], axis=1), kind="stable")
    values[:, rows[coarse_first], columns[coarse_first]] = similarity[:, coarse_first]
    x0, y0 = placed[:, :2].min(axis=0)
    x1, y1 = placed[:, 2:].max(axis=0)
    return WordMaps(values, (float(x0), float(y0), float(x1), float(y1)))


def colours(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    """Return RGBA colours ``[..., 4]``; what is NaN is transparent.

    Parameters
    ----------
    values
        Any shape.
    low, high
        The values of the first and the last colour; what lies beyond is clipped.
    """
    spread = high - low if high > low else 1.0
    place = np.clip((np.nan_to_num(values, nan=low) - low) / spread, 0.0, 1.0)
    stops = np.linspace(0.0, 1.0, len(ANCHORS))
    channels = [np.interp(place, stops, ANCHORS[:, channel]) for channel in range(3)]
    opacity = 255 * np.interp(place, (0.0, 1.0), OPACITY)
    opacity = np.where(np.isnan(values), 0.0, opacity)
    return np.rint(np.stack([*channels, opacity], axis=-1)).astype(np.uint8)


def to_png(values: NDArray[np.float64], low: float, high: float) -> bytes:
    """Return a map ``[rows, columns]`` as a PNG of one pixel per patch: nothing is smoothed."""
    buffer = BytesIO()
    Image.fromarray(colours(values, low, high)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def gradient() -> str:
    """Return the colours, low to high, as a CSS gradient for the legend."""
    stops = ", ".join(f"rgb({round(r)} {round(g)} {round(b)})" for r, g, b in ANCHORS)
    return f"linear-gradient(to right, {stops})"
