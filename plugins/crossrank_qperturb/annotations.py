"""Boxes that people or detectors drew: Flickr30k Entities and COCO Entities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import FormatError, StoreError
from crossrank.plugin.files import read_json

Boxes = NDArray[np.float32]

CHAIN = re.compile(r"\[/EN#(\d+)/")
"""A thing that a caption of Flickr30k Entities mentions, by the number of its chain."""
SLACK = 1.5
"""By how many pixels a box may leave its image: annotations round, and count from 0 or 1."""


def flickr30k_entities(
    folder: str | Path,
    ids: Iterable[str] | None = None,
    *,
    sentences: str | Path | None = None,
    last_pixel: bool = True,
) -> dict[str, Boxes]:
    """Read the boxes of Flickr30k Entities.

    Parameters
    ----------
    folder
        ``Annotations``, with an XML file per image.
    ids
        The images, by the names of their files with or without a suffix; all by default.
    sentences
        ``Sentences``, with a text file of captions per image: then only boxes are read whose chain
        a caption mentions, as the authors of Q-Perturbation do.  All by default.
    last_pixel
        Whether a box reaches to the end of its last pixel; those authors stop before it, a pixel
        earlier at the right and at the bottom.

    Returns
    -------
    dict
        Per id, in the given order, ``[n, 4]`` x0, y0, x1, y1 in [0, 1], in the order of the file;
        n is 0 where only scenes and invisible things were annotated.

    Raises
    ------
    StoreError
        If there is no such folder, or no file for an image.
    FormatError
        Naming file and image, if a file cannot be read or has a box that cannot be.

    Notes
    -----
    A chain is a thing by its number, ``[/EN#283585/people Two men]`` in a caption.

    The files count pixels from 1, and their last pixel belongs to the box, as in PASCAL VOC.  See
    Plummer et al., "Flickr30k Entities", IJCV 2017.
    """
    root = Path(folder)
    if not root.is_dir():
        raise StoreError(
            f"{root}: no such folder; give the folder Annotations of Flickr30k Entities"
        )
    if ids is None:
        ids = sorted(path.stem for path in root.glob("*.xml"))
    end = 0 if last_pixel else 1
    found = {}
    for id in ids:
        name = Path(id).stem
        chains = None if sentences is None else _mentioned(Path(sentences) / f"{name}.txt", id)
        found[id] = _of_xml(root / f"{name}.xml", id, chains, end)
    return found


def coco_entities(path: str | Path, sizes: Mapping[str, tuple[int, int]]) -> dict[str, Boxes]:
    """Read the boxes of COCO Entities.

    Parameters
    ----------
    path
        ``coco_entities_release.json``.
    sizes
        The images, each with its width and height in pixels, which the file does not have.  An id
        is the number of the image, or a file name that ends with it, such as
        ``COCO_val2014_000000522418.jpg``.

    Returns
    -------
    dict
        Per id, in the given order, ``[n, 4]`` x0, y0, x1, y1 in [0, 1]: every detection once, by
        its number, however many captions speak of it; none for an image that is not in the file.

    Raises
    ------
    StoreError
        If there is no such file.
    FormatError
        Naming file and image, if the file cannot be read or has a box that cannot be.

    Notes
    -----
    See Cornia et al., "Show, Control and Tell", CVPR 2019.
    """
    file = Path(path)
    try:
        entities = read_json(file)
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}; give coco_entities_release.json") from error
    except ValueError as error:
        raise FormatError(f"{file} is not JSON: {error}") from error
    if not isinstance(entities, dict):
        raise FormatError(f"{file} has no images; give coco_entities_release.json")
    return {
        id: _of_captions(entities.get(_coco_number(id), {}), size, f"{file}: image {id!r}")
        for id, size in sizes.items()
    }


def _mentioned(path: Path, id: str) -> set[str]:
    """Return the chains that the captions of an image mention."""
    try:
        said = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: image {id!r} has no captions: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: image {id!r} has captions that are not UTF-8") from error
    return set(CHAIN.findall(said))


def _of_xml(path: Path, id: str, chains: set[str] | None, end: int) -> Boxes:
    what = f"{path}: image {id!r}"
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise StoreError(f"{what} has no annotation: {error.strerror}") from error
    except ElementTree.ParseError as error:
        raise FormatError(f"{what} has an annotation that is not XML: {error}") from error
    size = (_number(root, "size/width", what), _number(root, "size/height", what))
    corners = [
        [_number(box, side, what) for side in ("xmin", "ymin", "xmax", "ymax")]
        for thing in root.findall("object")
        if chains is None or chains.intersection(name.text or "" for name in thing.iter("name"))
        for box in thing.findall("bndbox")
    ]
    return _relative(np.array(corners).reshape(-1, 4) - [1, 1, end, end], size, what)


def _number(element: ElementTree.Element, path: str, what: str) -> float:
    text = element.findtext(path)
    try:
        return float(text if text is not None else "")
    except ValueError:
        raise FormatError(f"{what} has {text!r} for {path}; a number belongs there") from None


def _of_captions(captions: Any, size: tuple[int, int], what: str) -> Boxes:
    found: dict[Any, Any] = {}
    try:
        for caption in captions.values():
            for detections in caption["detections"].values():
                found.update((number, box) for number, box in detections)
        corners = np.array(list(found.values()), np.float64).reshape(-1, 4)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"{what} has captions that cannot be read ({type(error).__name__}: {error}); each has "
            "detections: per class a list of [number, [x1, y1, x2, y2]]"
        ) from error
    return _relative(corners, size, what)


def _coco_number(id: str) -> str:
    digits = re.search(r"(\d+)$", Path(id).stem)
    return str(int(digits[1])) if digits else id


def _relative(pixels: NDArray[np.float64], size: tuple[float, float], what: str) -> Boxes:
    """Divide by width and height what lies within them; clip what hardly leaves them."""
    width, height = size
    if not (width > 0 and height > 0):
        raise FormatError(f"{what} has the size {width:g} × {height:g}")
    whole = np.array([width, height, width, height])
    wrong = ~np.isfinite(pixels) | (pixels < -SLACK) | (pixels > whole + SLACK)
    wrong[:, :2] |= pixels[:, :2] > pixels[:, 2:]
    if wrong.any():
        box = ", ".join(f"{corner:g}" for corner in pixels[wrong.any(axis=1)][0])
        raise FormatError(
            f"{what}, {width:g} × {height:g}, has the box ({box}); boxes are x0, y0, x1, y1 within "
            "it, in pixels"
        )
    boxes: Boxes = np.clip(pixels / whole, 0.0, 1.0).astype(np.float32)
    return boxes
