"""Pictures with labelled boxes, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from crossrank import fingerprint
from crossrank.errors import FormatError, InputError
from crossrank.plugin.files import IMAGE_SUFFIXES, read_json
from crossrank_knowledge.jsonarray import BrokenArrayError, stream_array

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One picture and what is to be seen in it.

    Parameters
    ----------
    id
        Its name in the annotations.
    path
        The file.
    labels
        One per region.
    boxes
        One per region: ``x0, y0, x1, y1`` in pixels of the file; None for the whole picture.
    """

    id: str
    path: Path
    labels: tuple[str, ...]
    boxes: tuple[Box | None, ...]


class Annotations(Protocol):
    """Pictures that can be gone through again and again in the same order."""

    def __iter__(self) -> Iterator[AnnotatedImage]:
        """Yield the pictures."""

    def fingerprint(self) -> str:
        """Return a digest of the files they come from."""


@dataclass(frozen=True, slots=True)
class VisualGenome:
    """Visual Genome's ``objects.json``, read picture by picture.

    Each box carries its first name (MACK, NeurIPS 2022).

    Parameters
    ----------
    objects
        The file.
    images
        The folder of ``<image_id>.jpg``, or of the folders ``VG_100K`` and ``VG_100K_2``.
    """

    objects: Path
    images: Path

    def __iter__(self) -> Iterator[AnnotatedImage]:
        """Yield the pictures that have objects.

        Raises
        ------
        FormatError
            Naming the image id of what is malformed.
        """
        last = "none"
        try:
            for entry in stream_array(self.objects):
                image = self._read(entry, last)
                last = image.id
                if image.labels:
                    yield image
        except (BrokenArrayError, UnicodeDecodeError) as error:
            found = re.search(r'"image_id"\s*:\s*(\d+)', getattr(error, "text", ""))
            where = f"image_id {found[1]}" if found else f"what follows image_id {last}"
            raise FormatError(
                f"{self.objects}: {where} is malformed: {error}; download the file again"
            ) from error

    def _read(self, entry: Any, last: str) -> AnnotatedImage:
        id = entry.get("image_id") if isinstance(entry, dict) else None
        if isinstance(id, bool) or not isinstance(id, int | str):
            raise FormatError(f"{self.objects}: the entry after image_id {last} has no image_id")
        try:
            objects = [each for each in entry["objects"] if each["names"]]
            labels = tuple(_text(each["names"][0]) for each in objects)
            boxes = tuple(_box(each["x"], each["y"], each["w"], each["h"]) for each in objects)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise FormatError(
                f"{self.objects}: image_id {id} is malformed: {type(error).__name__} {error}; its "
                "objects need names, x, y, w and h"
            ) from error
        return AnnotatedImage(str(id), self._path(str(id)), labels, boxes)

    def _path(self, id: str) -> Path:
        for folder in ("VG_100K", "VG_100K_2"):
            if (self.images / folder / f"{id}.jpg").is_file():
                return self.images / folder / f"{id}.jpg"
        return self.images / f"{id}.jpg"

    def fingerprint(self) -> str:
        """Return a digest of file and folder."""
        return fingerprint(["visual genome", _identity(self.objects), str(self.images)])


@dataclass(frozen=True, slots=True)
class Coco:
    """COCO's ``instances_*.json``, without crowds.  The file is read as a whole.

    Parameters
    ----------
    instances
        The file.
    images
        The folder of the pictures.
    """

    instances: Path
    images: Path

    def __iter__(self) -> Iterator[AnnotatedImage]:
        """Yield the pictures that have boxes, in the order of the file.

        Raises
        ------
        FormatError
            Naming the annotation that is malformed.
        """
        try:
            content = read_json(self.instances)
            names = {each["id"]: _text(each["name"]) for each in content["categories"]}
            found: dict[Any, list[tuple[str, Box]]] = {each["id"]: [] for each in content["images"]}
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(
                f"{self.instances} is not a COCO instances file: {type(error).__name__} {error}"
            ) from error
        for each in content.get("annotations", ()):
            try:
                if not each.get("iscrowd", 0):
                    label = names[each["category_id"]]
                    found[each["image_id"]].append((label, _box(*each["bbox"])))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                id = each.get("id") if isinstance(each, dict) else each
                raise FormatError(
                    f"{self.instances}: annotation {id!r} is malformed: "
                    f"{type(error).__name__} {error}"
                ) from error
        for each in content["images"]:
            if boxes := found[each["id"]]:
                yield AnnotatedImage(
                    str(each["id"]),
                    self.images / str(each.get("file_name", "")),
                    tuple(label for label, _ in boxes),
                    tuple(box for _, box in boxes),
                )

    def fingerprint(self) -> str:
        """Return a digest of file and folder."""
        return fingerprint(["coco", _identity(self.instances), str(self.images)])


@dataclass(frozen=True, slots=True)
class FolderPerClass:
    """A folder whose subfolders are named by what their pictures show, in order of their names.

    Parameters
    ----------
    root
        The folder.
    """

    root: Path

    def __iter__(self) -> Iterator[AnnotatedImage]:
        """Yield every picture as one region.

        Raises
        ------
        InputError
            If there is none.
        """
        pictures = self._pictures()
        if not pictures:
            raise InputError(f"{self.root} has no subfolder with pictures in it")
        for path in pictures:
            id = str(path.relative_to(self.root))
            yield AnnotatedImage(id, path, (path.parent.name,), (None,))

    def _pictures(self) -> list[Path]:
        return sorted(p for p in self.root.glob("*/*") if p.suffix.lower() in IMAGE_SUFFIXES)

    def fingerprint(self) -> str:
        """Return a digest of the names of all pictures."""
        names = [str(path.relative_to(self.root)) for path in self._pictures()]
        return fingerprint(["folder per class", str(self.root), names])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a name is {value!r}")
    return value


def _box(x: float, y: float, width: float, height: float) -> Box:
    corners = (float(x), float(y), float(x) + float(width), float(y) + float(height))
    if not all(abs(corner) < float("inf") for corner in corners):
        raise ValueError(f"a box is {corners}")
    return corners


def _identity(path: Path) -> list[Any]:
    if not path.is_file():
        raise InputError(f"{path} is not a file; check the path of the annotations")
    return [str(path), path.stat().st_size]
