"""Features of a standard name have their standard form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._items.images import open_image
from crossrank._items.ragged import Ragged
from crossrank.testing._arrays import numbers_of
from crossrank.testing._check import require
from crossrank.testing._encoder_case import EncoderCase
from crossrank.testing._standard import BOXES, PARTNERS, STANDARD, Form

UNIT_TOLERANCE = 1e-3
"""Half precision is allowed."""


def features_have_their_standard_form(case: EncoderCase) -> None:
    """Expect arrays, ragged arrays, lists and texts, with rows of the standard shape."""
    for name, feature in case.batch().items():
        if name in STANDARD:
            _require_form(name, feature, STANDARD[name])


def numbers_are_finite(case: EncoderCase) -> None:
    """Expect neither NaN nor infinity."""
    for name, feature in case.batch().items():
        rows = numbers_of(feature)
        if rows is not None:
            require(
                rows.dtype.kind not in "fc" or bool(np.isfinite(rows).all()),
                f"{name!r} holds NaN or infinity",
            )


def unit_rows_have_unit_length(case: EncoderCase) -> None:
    """Expect rows that inner products can compare, in ``embedding`` and ``tokens``."""
    for name, feature in case.batch().items():
        rows = numbers_of(feature)
        if name in STANDARD and STANDARD[name].unit and rows is not None:
            lengths = np.linalg.norm(rows.astype(np.float64), axis=-1)
            require(
                not bool((np.abs(lengths - 1) > UNIT_TOLERANCE).any()),
                f"rows of {name!r} have lengths from {lengths.min():.4g} to {lengths.max():.4g}; "
                "divide each by its length",
            )


def boxes_lie_in_the_picture(case: EncoderCase) -> None:
    """Expect boxes ``x0, y0, x1, y1`` in [0, 1] of the original picture."""
    for name, feature in case.batch().items():
        boxes = numbers_of(feature)
        if name in BOXES and boxes is not None:
            require(
                bool(((boxes >= 0) & (boxes <= 1)).all()),
                f"{name!r} reaches from {boxes.min():.4g} to {boxes.max():.4g}; divide by the "
                "width and height of the original picture and cut at [0, 1]",
            )
            require(
                bool((boxes[:, :2] <= boxes[:, 2:]).all()),
                f"{name!r} holds a box whose right or lower edge comes first; the order is "
                "x0, y0, x1, y1",
            )


def parts_come_with_their_descriptions(case: EncoderCase) -> None:
    """Expect as many token texts and boxes as tokens, and as many labels as boxes."""
    made = case.batch()
    for left, right in PARTNERS:
        if left in made and right in made:
            for row, item in enumerate(case.items()):
                require(
                    len(made[left][row]) == len(made[right][row]),
                    f"item {item.id!r} has {len(made[left][row])} {left} and "
                    f"{len(made[right][row])} {right}; they go together one by one",
                )


def sizes_are_those_of_the_pictures(case: EncoderCase) -> None:
    """Expect width and height of the original picture, in pixels, as ``size``."""
    if "size" in case.features:
        for item, size in zip(case.items(), case.batch(features=["size"])["size"], strict=True):
            wanted = None if item.image is None else open_image(item.image).size
            found = tuple(np.asarray(size).tolist())
            require(
                found == wanted,
                f"the size of {item.id!r} is {found}; the picture is {wanted} wide and high",
            )


def _require_form(name: str, feature: Any, form: Form) -> None:
    if form.kind in ("array", "ragged"):
        kind = np.ndarray if form.kind == "array" else Ragged
        rows = numbers_of(feature)
        require(
            isinstance(feature, kind) and rows is not None,
            f"{name!r} is a {type(feature).__name__}; return a {kind.__name__}",
        )
        if rows is not None:
            _require_rows(name, rows, form)
        return
    kinds = (str,) if form.kind == "text" else (list, tuple)
    for entry in feature:
        require(
            isinstance(entry, kinds),
            f"{name!r} holds a {type(entry).__name__}; each item has a {kinds[0].__name__}",
        )


def _require_rows(name: str, rows: NDArray[Any], form: Form) -> None:
    found = rows.shape[1:]
    fits = len(found) == len(form.row) and all(
        wanted in (None, size) for wanted, size in zip(form.row, found, strict=True)
    )
    wanted = ", ".join("any" if size is None else str(size) for size in form.row)
    require(fits, f"{name!r} has rows of shape {found}; they must be of shape ({wanted})")
    require(
        rows.dtype.kind in ("iu" if form.integer else "f"),
        f"{name!r} holds {rows.dtype}; it must hold {'integers' if form.integer else 'floats'}",
    )
