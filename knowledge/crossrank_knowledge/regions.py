"""Features of labelled regions: crops through an encoder, or its grid cells pooled under a box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError, MissingFeatureError
from crossrank.plugin.encoders import as_encoder, maker_name
from crossrank_knowledge.annotations import AnnotatedImage, Annotations, Box

if TYPE_CHECKING:
    from PIL import Image

Floats = NDArray[np.float32]


def pool_under_box(cells: Floats, cell_boxes: Floats, box: Box) -> Floats:
    """Return ``[D]`` the mean of grid cells weighted by how much of each lies under a box.

    Parameters
    ----------
    cells
        ``[R, D]``.
    cell_boxes
        ``[R, 4]`` where they lie, in the units of `box`.
    box
        A box that covers nothing takes the cell nearest to its centre.
    """
    low = np.maximum(cell_boxes[:, :2], np.asarray(box[:2], np.float32))
    high = np.minimum(cell_boxes[:, 2:], np.asarray(box[2:], np.float32))
    overlap = np.prod(np.maximum(high - low, 0.0), axis=1)
    total = overlap.sum()
    if total > 0:
        pooled: Floats = ((overlap / total) @ cells).astype(np.float32)
        return pooled
    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], np.float32)
    distances = np.square((cell_boxes[:, :2] + cell_boxes[:, 2:]) / 2 - centre).sum(axis=1)
    nearest: Floats = cells[int(distances.argmin())]
    return nearest


class RegionSource:
    """The labelled regions of annotated pictures as ``(label, feature)``; a `Source` for `build`.

    Parameters
    ----------
    annotations
        Such as `VisualGenome`, `Coco` or `FolderPerClass`.
    encoder
        The name of an encoder that gives ``regions`` of images, or one.
    how
        ``"grid"``: encode each picture once and pool the cells under a box; ``"crop"``: encode
        what is in the box and take the mean of its cells.
    batch_size
        Pictures (or crops) to encode at once.

    Raises
    ------
    MissingFeatureError
        If the encoder gives no regions, or for ``"grid"`` not where they lie.
    """

    def __init__(
        self,
        annotations: Annotations,
        encoder: str | cr.Encoder,
        how: Literal["grid", "crop"] = "grid",
        batch_size: int = 32,
    ) -> None:
        if how not in ("grid", "crop"):
            raise InputError(f"RegionSource: how is {how!r:.80}; give 'grid' or 'crop'")
        self.annotations = annotations
        self.how = how
        self.batch_size = batch_size
        self._encoder = as_encoder(encoder, {})
        self.encoder: str | None = maker_name(self._encoder)
        given = self._encoder.info.features.get("image", ())
        places = [name for name in ("boxes", "token_boxes") if name in given]
        if "regions" not in given or (how == "grid" and not places):
            raise MissingFeatureError(
                f"the encoder {self._encoder.info.name!r} does not give regions"
                f"{' and their boxes' if how == 'grid' else ''} of images; choose another one"
            )
        self._places = places[:1] if how == "grid" else []

    def __iter__(self) -> Iterator[tuple[str, Floats]]:
        return self.from_item(0)

    def fingerprint(self) -> str:
        """Return a digest of annotations, encoder and the way regions are made."""
        return cr.fingerprint([self.annotations.fingerprint(), self._encoder, self.how])

    def from_item(self, start: int) -> Iterator[tuple[str, Floats]]:
        """Yield the regions from a place on; batches that lie before it are not opened.

        Pictures are always encoded in the same batches, so that the bits are the same wherever
        it starts.
        """
        passed = 0
        images = iter(self.annotations)
        while batch := list(islice(images, self.batch_size)):
            count = sum(len(image.labels) for image in batch)
            if passed + count > start:
                found = self._pooled(batch) if self.how == "grid" else self._cropped(batch)
                yield from islice(found, max(0, start - passed), None)
            passed += count

    def _pooled(self, batch: Sequence[AnnotatedImage]) -> Iterator[tuple[str, Floats]]:
        pictures = [cr.open_image(image.path) for image in batch]
        encoded = self._encode(pictures)
        for place, image in enumerate(batch):
            cells = encoded["regions"][place].astype(np.float32)
            cell_boxes = encoded[self._places[0]][place].astype(np.float32)
            width, height = pictures[place].size
            for label, box in zip(image.labels, image.boxes, strict=True):
                if box is None:
                    yield label, cells.mean(axis=0)
                else:
                    scaled = (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
                    yield label, pool_under_box(cells, cell_boxes, scaled)

    def _cropped(self, batch: Sequence[AnnotatedImage]) -> Iterator[tuple[str, Floats]]:
        for image in batch:
            picture = cr.open_image(image.path)
            crops = [picture if box is None else _crop(picture, box) for box in image.boxes]
            for start in range(0, len(crops), self.batch_size):
                part = slice(start, start + self.batch_size)
                regions = self._encode(crops[part])["regions"]
                for label, cells in zip(image.labels[part], regions, strict=True):
                    yield label, cells.astype(np.float32).mean(axis=0)

    def _encode(self, pictures: Sequence[Image.Image]) -> cr.Collection:
        items = [cr.Item(str(place), image=picture) for place, picture in enumerate(pictures)]
        return cr.encode(self._encoder, items, "image", ("regions", *self._places))


def _crop(picture: Image.Image, box: Box) -> Image.Image:
    """Cut out a box, at least one pixel of the picture."""
    x0 = min(max(int(np.floor(box[0])), 0), picture.width - 1)
    y0 = min(max(int(np.floor(box[1])), 0), picture.height - 1)
    x1 = min(max(int(np.ceil(box[2])), x0 + 1), picture.width)
    y1 = min(max(int(np.ceil(box[3])), y0 + 1), picture.height)
    return picture.crop((x0, y0, x1, y1))
