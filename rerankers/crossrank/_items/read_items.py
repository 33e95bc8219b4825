"""What ``crossrank encode`` reads: a folder of pictures, a ``.jsonl``, or a ``.txt``.

================== ================================================================================
a folder           all pictures in it and below it; the id is the path within the folder, suffix
                   included, with ``/`` between its parts and white space written as in a URL
                   (``my photo.jpg`` becomes ``my%20photo.jpg``, since run files split at blanks)
``.jsonl``         ``{"id": …, "text": …}`` or ``{"id": …, "image": …}`` a line; a picture's path is
                   relative to the file, or its data URI; other keys are ignored
a picture          itself; the id is the path as it was given, white space written likewise
``.txt``           one text a line; the id is the number of the line, from 1
================== ================================================================================
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from crossrank._files.json_lines import numbered_lines, read_json_lines
from crossrank._items.item import IMAGE_SUFFIXES, Item
from crossrank._items.pictures import DATA_URI, from_data_uri
from crossrank._text import is_blank, is_unicode
from crossrank.errors import DuplicateIdError, FormatError, InputError

logger = logging.getLogger(__name__)


def read_items(source: Path) -> list[Item]:
    """Read the items of a folder, ``.jsonl`` or ``.txt``.

    Parameters
    ----------
    source
        Where they are.

    Returns
    -------
    list of Item
        With ids; pictures as absolute paths, none of them opened yet.

    Raises
    ------
    InputError
        If `source` is missing, of another kind, or holds nothing.
    FormatError
        Naming file and line (or file) of what cannot be read.
    DuplicateIdError
        Naming both places where an id stands.
    """
    reader = READERS.get("" if source.is_dir() else source.suffix.lower())
    if reader is None or not source.exists():
        what = "is none of these" if source.exists() else "does not exist"
        raise InputError(f"{source} {what}; give a folder of pictures, a .jsonl or a .txt file")
    items: list[Item] = []
    places: dict[str, str] = {}
    for place, item in reader(source):
        other = places.setdefault(str(item.id), place)
        if other != place:
            raise DuplicateIdError(f"{place} has the id {item.id!r}, which {other} has already")
        items.append(item)
    if not items:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise InputError(
            f"{source} holds no pictures ({suffixes})" if source.is_dir() else f"{source} is empty"
        )
    return items


def read_sources(sources: Sequence[Path]) -> list[Item]:
    """Read the items of several sources, of which patterns such as ``photos/*.jpg`` stand for many.

    A pattern that fits nothing and two sources that share an id are refused.
    """
    items: list[Item] = []
    places: dict[str, Path] = {}
    paths = [path for source in sources for path in _fitting(source)]
    for source in paths:
        for item in read_items(source):
            other = places.setdefault(str(item.id), source)
            if other is not source:
                raise DuplicateIdError(
                    f"{source} and {other} both have the id {item.id!r}; encode them apart, or "
                    "name the items in a .jsonl"
                )
            items.append(item)
    if not items:
        raise InputError("there is no input; give a folder of pictures, a .jsonl or a .txt file")
    return items


def _fitting(source: Path) -> list[Path]:
    if source.exists() or not any(sign in str(source) for sign in "*?["):
        return [source]
    base = Path(source.anchor) if source.is_absolute() else Path()
    pattern = str(source.relative_to(source.anchor)) if source.is_absolute() else str(source)
    paths = sorted(base.glob(pattern))
    if not paths:
        raise InputError(f"{source} fits no file; check the pattern")
    return paths


def read_picture(path: Path) -> Iterator[tuple[str, Item]]:
    """Yield one picture; the id is its path as it was given."""
    if not is_unicode(path.as_posix()):
        raise FormatError(f"{str(path)!r}: the file name is not valid UTF-8; rename the file")
    id = re.sub(r"\s", lambda blank: quote(blank[0]), path.as_posix())
    yield str(path), Item(id, image=path.absolute())


def read_folder(folder: Path) -> Iterator[tuple[str, Item]]:
    """Yield path and item of every picture in a folder, in the order of their paths."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder, and its name does not say what else it is")
    others: Counter[str] = Counter()
    for path in sorted(_files(folder.absolute())):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            others[path.suffix.lower() or path.name] += 1
            continue
        id = path.relative_to(folder.absolute()).as_posix()
        if not is_unicode(id):
            raise FormatError(f"{str(path)!r}: the file name is not valid UTF-8; rename the file")
        yield str(path), Item(re.sub(r"\s", lambda blank: quote(blank[0]), id), image=path)
    if others:
        logger.info("%s: left out %d files that are no pictures", folder, others.total())
    left_out = {suffix: count for suffix, count in others.items() if suffix not in SILENT}
    if left_out:
        some = ", ".join(f"{count} {suffix}" for suffix, count in Counter(left_out).most_common(4))
        logger.warning(
            "%s: left out %d files that are no pictures by their names: %s%s",
            *(folder, sum(left_out.values()), some, ", …" if len(left_out) > 4 else ""),
        )


def read_json_items(path: Path) -> Iterator[tuple[str, Item]]:
    """Yield place and item of every line of a ``.jsonl`` file."""
    for number, record in read_json_lines(path):
        place = f"{path}:{number}"
        if not isinstance(record, dict):
            raise FormatError(f'{place} is no object; write {{"id": …, "text": …}}')
        id, text, image = (record.get(key) for key in ("id", "text", "image"))
        if text is None and image is None:
            raise FormatError(f'{place} has neither "text" nor "image"')
        yield place, Item(_id(place, id), _text(place, text), _image(path, place, image))


def read_text_items(path: Path) -> Iterator[tuple[str, Item]]:
    """Yield place and item of every line of a text file."""
    for number, line in numbered_lines(path):
        place = f"{path}:{number}"
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise FormatError(f"{place} is not UTF-8: {error}; convert the file") from error
        yield place, Item(str(number), _text(place, text.rstrip("\r\n")))


SILENT = frozenset({".db", ".ini", ".json", ".jsonl", ".md", ".txt", ".xml", ".csv", ".tsv"})
"""What lies beside pictures in many folders, left out without a word."""

READERS = {
    "": read_folder,
    ".jsonl": read_json_items,
    ".txt": read_text_items,
    **dict.fromkeys(IMAGE_SUFFIXES, read_picture),
}


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder and its links; raises what the system reports.

    Hidden files and folders are left out, and links that lead back to where they stand.
    """

    def fail(error: OSError) -> None:
        raise error

    above: dict[str, tuple[str, ...]] = {str(folder): (os.path.realpath(folder),)}
    for parent, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        behind = above.pop(parent)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in list(folders):
            inner = str(Path(parent, name))
            real = os.path.realpath(inner)
            if real in behind:  # a link to a folder above it: a loop
                logger.warning("%s: left out the link %s, which leads back", folder, name)
                folders.remove(name)
            else:
                above[inner] = (*behind, real)
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _id(place: str, id: Any) -> str:
    if isinstance(id, bool) or not isinstance(id, str | int):
        raise FormatError(f'{place} needs an "id" that is a text or a whole number')
    name = str(id)
    if not name or re.search(r"\s", name) or not is_unicode(name):
        raise FormatError(
            f"{place} has the id {name!r}; an id must be valid Unicode, not empty and without "
            "white space, at which run files split"
        )
    return name


def _text(place: str, text: Any) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str) or is_blank(text):
        raise FormatError(f"{place} has an empty text; leave it out or write one")
    if not is_unicode(text):
        raise FormatError(f"{place} has a text that is not valid Unicode (a lone surrogate)")
    return text


def _image(path: Path, place: str, image: Any) -> Path | bytes | None:
    if image is None:
        return None
    if not isinstance(image, str) or not image:
        raise FormatError(f'{place} needs the path of a picture as its "image"')
    if DATA_URI.match(image[:300]):
        return from_data_uri(image)
    picture = path.absolute().parent / image
    if "\0" in image or not picture.is_file():
        raise FormatError(f"{place} names the picture {picture}, which is not there")
    return picture
