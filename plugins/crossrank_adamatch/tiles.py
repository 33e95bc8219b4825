"""The encoder ``tiles``: a large picture as tiles, whose cells join to one larger grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError, MissingFeatureError, ParameterError
from crossrank.plugin.encoders import as_encoder
from crossrank.plugin.encoding import picture_of
from crossrank.plugin.parameters import Check, check, instance_of, integer, text
from crossrank_adamatch.grids import Grid, grid_of_boxes

if TYPE_CHECKING:
    from PIL import Image

WHOLE = ("embedding", "size")
"""What is that of the picture as a whole."""
BOXES = {"tokens": "token_boxes", "regions": "boxes"}
"""Where the cells of a feature lie."""
ENCODER: Check = text | instance_of(cr.Encoder, give="an Encoder")


@dataclass(frozen=True, slots=True)
class TilesParameters:
    """How pictures are cut, and who sees the tiles.

    Parameters
    ----------
    encoder
        The name of an encoder with its default parameters, or a ready one, which gives pictures a
        grid of ``tokens`` with ``token_boxes``.
    side
        How many pixels of the picture a tile is wide and high, at most: as many tiles are cut, all
        of one size to a pixel.
    most
        Tiles along a side of the picture, at most: a larger picture has larger tiles.
    """

    encoder: str | cr.Encoder = "lite"
    side: int = 512
    most: int = 8

    def __post_init__(self) -> None:
        check("tiles", self, encoder=ENCODER, side=integer(1), most=integer(1))


class TilesEncoder(cr.Encoder):
    """Sees a picture tile by tile, as large as it is, where others squeeze it to a few pixels.

    The tiles' cells join to one grid over the whole picture, over which ``adamatch`` lays its
    windows, across the tiles' borders too.  The embedding is that of the whole picture, and texts
    are those of the encoder.  One picture's tiles are in memory at a time.

    Parameters
    ----------
    **params
        See `TilesParameters`.

    Examples
    --------
    >>> gallery = cr.encode("tiles", scenes, side=288)  # doctest: +SKIP
    """

    info: ClassVar[cr.EncoderInfo] = cr.EncoderInfo(
        name="tiles",
        summary="large pictures as tiles of another encoder, joined to one grid of tokens",
        features={
            "image": ("embedding", "tokens", "token_boxes", "regions", "boxes", "size"),
            "text": ("embedding", "tokens", "token_text", "words"),
        },
        default_features=("embedding", "tokens", "token_boxes", "token_text"),
        extra="lite",
    )
    Parameters: ClassVar[type] = TilesParameters
    params: TilesParameters
    batch_size = 1

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.base = as_encoder(self.params.encoder, {})
        gives = self.base.info.features.get("image", ())
        if not {"tokens", "token_boxes"} <= set(gives):
            raise ParameterError(
                f"tiles: the encoder {self.base.info.name!r} gives images no tokens with "
                "token_boxes; give one with a grid, such as 'lite' or 'clip'"
            )

    def fingerprint(self) -> str:
        """Return a digest of the encoder and of how pictures are cut."""
        return cr.fingerprint(
            [type(self).__qualname__, self.base, self.params.side, self.params.most]
        )

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, cr.Feature]:
        """Return the features of some items; see `crossrank.Encoder.encode_batch`."""
        for name in features:
            if name not in self.base.info.features.get(modality, ()):
                raise MissingFeatureError(
                    f"tiles: the encoder {self.base.info.name!r} gives no {name!r} of {modality}s"
                )
        if modality != "image":
            return self.base.encode_batch(items, modality, features)
        found: dict[str, cr.Feature] = {}
        whole = [name for name in features if name in WHOLE]
        if whole:
            found |= self.base.encode_batch(items, modality, whole)
        cells = [name for name in features if name not in WHOLE]
        if cells:
            joined = [self._joined(item, cells) for item in items]
            for name in cells:
                found[name] = cr.Ragged.from_list([each[name] for each in joined])
        return found

    def _joined(self, item: cr.Item, features: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return features of one picture's cells, row by row over all its tiles."""
        picture = picture_of("tiles", item)
        tiles = cut(picture.size, self.params.side, self.params.most)
        read = tuple({*features, "tokens", "token_boxes"})
        seen: list[dict[str, NDArray[Any]]] = []
        size = max(1, self.base.batch_size)
        corners = [corner for row in tiles for corner in row]
        for start in range(0, len(corners), size):
            part = [
                cr.Item(f"{item.id} {place}", image=picture.crop(corners[place]))
                for place in range(start, min(start + size, len(corners)))
            ]
            made: Any = self.base.encode_batch(part, "image", read)
            seen += [{name: made[name][tile] for name in read} for tile in range(len(part))]
        grids = {self._grid(item, tile["token_boxes"]) for tile in seen}
        if len(grids) > 1:
            raise InputError(
                f"tiles: the encoder {self.base.info.name!r} sees the tiles of {item.id!r} as "
                f"grids of {sorted(grids)}, which do not join; give another side"
            )
        (grid,) = grids
        shape = len(tiles), len(tiles[0])
        for tile, corner in zip(seen, corners, strict=True):
            for name in set(BOXES.values()) & tile.keys():
                tile[name] = placed(tile[name], corner, picture)
        return {name: join([tile[name] for tile in seen], shape, grid) for name in features}

    def _grid(self, item: cr.Item, boxes: NDArray[Any]) -> Grid:
        grid = grid_of_boxes(boxes)
        if grid is None:
            raise InputError(
                f"tiles: the encoder {self.base.info.name!r} sees no grid in a tile of "
                f"{item.id!r}; give one with a grid, such as 'lite' or 'clip'"
            )
        return grid


def cut(size: tuple[int, int], side: int, most: int) -> list[list[tuple[int, int, int, int]]]:
    """Return the tiles of a picture, row by row, in pixels: ``x0, y0, x1, y1``.

    Parameters
    ----------
    size
        Width and height of the picture.
    side, most
        See `TilesParameters`.
    """
    x, y = (edges(pixels, min(most, -(-pixels // side))) for pixels in size)
    return [
        [(left, upper, right, lower) for left, right in pairwise(x)] for upper, lower in pairwise(y)
    ]


def edges(pixels: int, parts: int) -> list[int]:
    """Return where so many parts of a side begin and end, as equal as pixels allow."""
    return [round(part * pixels / parts) for part in range(parts + 1)]


def placed(
    boxes: NDArray[Any], tile: tuple[int, int, int, int], picture: Image.Image
) -> NDArray[np.float32]:
    """Carry boxes in [0, 1] of a tile to the picture."""
    x0, y0, x1, y1 = tile
    low, extent = np.array([x0, y0] * 2), np.array([x1 - x0, y1 - y0] * 2)
    carried = (low + boxes * extent) / np.array(picture.size * 2)
    return np.asarray(carried, np.float32)


def join(tiles: Sequence[NDArray[Any]], shape: Grid, grid: Grid) -> NDArray[Any]:
    """Return the cells of R×C tiles of h×w cells as one grid, row by row.

    Parameters
    ----------
    tiles
        R·C arrays ``[h·w, …]``, row by row.
    shape, grid
        R and C, h and w.
    """
    cells = np.stack(tiles)
    trailing = cells.shape[2:]
    four = cells.reshape(*shape, *grid, *trailing).swapaxes(1, 2)
    return four.reshape(-1, *trailing)
