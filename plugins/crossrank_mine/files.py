"""What stands in the columns, and the files they are written to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import crossrank as cr
from crossrank.errors import InputError
from crossrank.plugin.contents import Content, contents_of
from crossrank.plugin.files import atomic_binary, atomic_file, json_line
from crossrank.plugin.optional import needs

PICTURES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tiff", ".webp"))
"""Names by which sentence-transformers knows a str to be a picture's path."""


def written(collection: cr.Collection, ids: Iterable[str]) -> dict[str, Any]:
    """Return what stands in a column, by id.

    A text is a str, a picture its absolute path, a picture with a text
    ``{"image": path, "text": text}``, the picture first.  Where one of the pictures has a name that
    sentence-transformers would take for a text, all of them are ``{"image": path}``.

    Raises
    ------
    UnknownIdError
        If the collection has no such item.
    MissingFeatureError, InputError
        If it does not say what its items are.
    """
    names = list(dict.fromkeys(ids))
    contents = contents_of("mine", collection, [collection.row(id) for id in names])
    plain = all(each.path is None or each.path.suffix.lower() in PICTURES for each in contents)
    return dict(zip(names, (_column(each, plain) for each in contents), strict=True))


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write rows as JSON lines, or as Parquet if the file is called so; return how many.

    Raises
    ------
    InputError
        If there is none.
    MissingPackageError
        If Parquet is asked for and pyarrow is not installed.
    """
    if path.suffix.lower() == ".parquet":
        return _write_parquet(path, list(rows))
    count = 0
    with atomic_file(path) as lines:
        for row in rows:
            lines.write(json_line(row))
            count += 1
        _refuse_nothing(count)
    return count


def _write_parquet(path: Path, rows: list[dict[str, Any]]) -> int:
    with needs("mine, for a .parquet file,", "parquet", "pyarrow")():
        import pyarrow as pa
        from pyarrow import parquet
    _refuse_nothing(len(rows))
    with atomic_binary(path) as file:
        parquet.write_table(pa.Table.from_pylist(rows), file)
    return len(rows)


def _refuse_nothing(count: int) -> None:
    if not count:
        raise InputError(
            "mine: no query has a positive with enough negatives; ask for fewer, lower the margin, "
            "give a deeper run, or --no-scores if no positive is in its list"
        )


def _column(content: Content, plain: bool) -> Any:
    path = None if content.path is None else str(content.path.absolute())
    if path is None:
        return content.text
    if content.text is None:
        return path if plain else {"image": path}
    return {"image": path, "text": content.text}


__all__ = ["write_rows", "written"]
