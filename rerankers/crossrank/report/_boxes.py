"""Boxes with a word each, drawn over a picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from crossrank.report._heat import Box

COLOURS = ("#e6194b", "#0082c8", "#f58231", "#3cb44b", "#911eb4", "#008080", "#aa6e28", "#808000")
"""Told apart also in grey and by most who see fewer colours; after the last the first comes again.
"""
SHORTEST = 480
"""Pixels that the shorter side has at least, so that words can be read."""


def draw_boxes(
    image: Image.Image, boxes: Sequence[Box | None], words: Sequence[str] = ()
) -> Image.Image:
    """Return a picture with boxes drawn over it; the picture that is given stays as it is.

    Parameters
    ----------
    image
        The picture.
    boxes
        ``x0, y0, x1, y1`` in [0, 1] of it; None draws nothing.
    words
        What to write into the boxes, as many as there are boxes, or none.
    """
    scale = max(1.0, SHORTEST / min(image.size))
    size = round(image.width * scale), round(image.height * scale)
    sheet = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for place, box in enumerate(boxes):
        if box is None:
            continue
        colour = COLOURS[place % len(COLOURS)]
        # a pixel inside: a frame on the very edge of the picture would not be seen
        corners = [
            min(max(corner * side, 1), side - 2)
            for corner, side in zip(box, (*sheet.size, *sheet.size), strict=True)
        ]
        pen.rectangle(corners, outline=colour, width=3)
        if place < len(words):
            at = corners[0] + 4, corners[1] + 2
            pen.rectangle(pen.textbbox(at, words[place], font=font), fill="white")
            pen.text(at, words[place], fill=colour, font=font)
    return sheet


__all__ = ["draw_boxes"]
