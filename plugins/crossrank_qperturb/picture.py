"""The attention on an image, without and with the perturbation, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from crossrank import Evidence
from crossrank.errors import InputError

PLAIN, PERTURBED = "attention", "perturbed attention"
"""What the maps and links of evidence are called."""

Box = tuple[float, float, float, float]

SIDE, MARGIN, CAPTION = 336, 12, 26
"""Of a panel: its longer side, the space around it, and the height of its caption, in pixels."""

LOOKS = np.array([[13, 8, 60], [110, 20, 130], [215, 60, 90], [250, 150, 40], [252, 250, 180]])
"""Colours from no attention to the most: lightness rises all the way."""

CHANGES = np.array(
    [[20, 80, 170], [120, 175, 215], [247, 247, 247], [240, 150, 110], [170, 20, 40]]
)
"""Colours from what lost attention, blue, to what gained it, red."""

BOX = (90, 255, 160)


def attention_picture(
    path: str | Path,
    image: Image.Image,
    plain: ArrayLike,
    perturbed: ArrayLike,
    boxes: ArrayLike = (),
    labels: Sequence[str] = (),
    title: str = "",
) -> None:
    """Write a PNG of four panels: the image, its attention without and with, and what changed.

    Parameters
    ----------
    path
        The file to write.
    image
        The original image.
    plain, perturbed
        ``[rows, columns]`` attention per patch, on one scale.
    boxes
        ``[n, 4]`` x0, y0, x1, y1 in [0, 1], drawn into every panel.
    labels
        What the boxes show; as many as there are boxes, or none.
    title
        Stands above the panels, a line.

    Raises
    ------
    InputError
        If the two maps differ in shape, or are no maps.
    """
    before, after = np.asarray(plain, np.float64), np.asarray(perturbed, np.float64)
    if before.ndim != 2 or before.shape != after.shape:
        raise InputError(
            f"attention_picture: the maps have shapes {list(before.shape)} and "
            f"{list(after.shape)}; give two of [rows, columns]"
        )
    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    panel = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    most = max(before.max(), after.max(), 1e-12)
    change = after - before
    furthest = max(np.abs(change).max(), 1e-12)
    panels = [
        ("image", panel),
        (f"attention, up to {most:.3f}", _over(panel, _coloured(before / most, LOOKS))),
        ("perturbed, same scale", _over(panel, _coloured(after / most, LOOKS))),
        (
            "what changed: blue less, red more",
            _over(panel, _coloured(change / furthest / 2 + 0.5, CHANGES)),
        ),
    ]
    top = MARGIN + (CAPTION if title else 0)
    width = MARGIN + len(panels) * (size[0] + MARGIN)
    sheet = Image.new("RGB", (width, top + CAPTION + size[1] + MARGIN), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    pen.text((MARGIN, MARGIN // 2), title, fill=(20, 20, 20), font=font)
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    for number, (caption, each) in enumerate(panels):
        left = MARGIN + number * (size[0] + MARGIN)
        pen.text((left, top), caption, fill=(70, 70, 70), font=font)
        _outline(each, corners, labels)
        sheet.paste(each, (left, top + CAPTION))
    sheet.save(path, "PNG", optimize=True)


def evidence_picture(path: str | Path, evidence: Evidence, image: Image.Image) -> None:
    """Write what the reranker ``qperturb`` explained of a pair; see `attention_picture`.

    Parameters
    ----------
    path
        The file to write.
    evidence
        From ``Pipeline.explain``.
    image
        The image of the pair.

    Raises
    ------
    InputError
        If it is evidence of another reranker.
    """
    if [name for name, _ in evidence.maps] != [PLAIN, PERTURBED]:
        raise InputError(
            "evidence_picture: the evidence has no maps of qperturb; give some of its explain()"
        )
    boxes: list[Box] = []
    names: list[str] = []
    for link in evidence.links:
        for box, name in ((link.query_box, link.query), (link.candidate_box, link.candidate)):
            if box is not None and PLAIN in (link.query, link.candidate):
                boxes.append(box)
                names.append(name)
    title = f"{evidence.query_id} and {evidence.candidate_id}: {evidence.score:.3f}"
    plain, perturbed = (values for _, values in evidence.maps)
    attention_picture(path, image, plain, perturbed, boxes, names, title)


def _coloured(values: NDArray[np.float64], stops: NDArray[np.int64]) -> Image.Image:
    """Return values in [0, 1] as colours, one pixel per patch."""
    places = np.linspace(0.0, 1.0, len(stops))
    channels = [np.interp(values, places, stops[:, channel]) for channel in range(3)]
    return Image.fromarray(np.rint(np.stack(channels, axis=-1)).astype(np.uint8))


def _over(panel: Image.Image, colours: Image.Image) -> Image.Image:
    """Lay patches, with sharp edges, over a grey copy of the image."""
    patches = colours.resize(panel.size, Image.Resampling.NEAREST)
    return Image.blend(panel.convert("L").convert("RGB"), patches, 0.7)


def _outline(panel: Image.Image, boxes: NDArray[np.float64], labels: Sequence[str]) -> None:
    pen, font = ImageDraw.Draw(panel), ImageFont.load_default(13)
    for number, (x0, y0, x1, y1) in enumerate(boxes * np.tile(panel.size, 2)):
        pen.rectangle((x0, y0, x1 - 1, y1 - 1), outline=BOX, width=2)
        if number < len(labels):
            corner = (x0 + 3, y0 + 2)
            pen.rectangle(pen.textbbox(corner, labels[number], font=font), fill=(0, 0, 0))
            pen.text(corner, labels[number], fill=BOX, font=font)
