"""Putting collections end to end, in memory or straight into a folder on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from crossrank._items.collection import Collection
from crossrank._items.feature import Feature
from crossrank._items.joining import joined, write_joined


def assemble(
    parts: Sequence[Collection],
    modality: str,
    encoder: str | None,
    given: Mapping[str, Feature],
    ids: tuple[str, ...],
    folder: Path | None = None,
    dtypes: Mapping[str, str] = MappingProxyType({}),
    contents: str | None = None,
) -> Collection:
    """Return the items of several collections as one.

    Parameters
    ----------
    parts
        Collections with the same features.
    modality, encoder, ids
        Of the whole.
    given
        Features of the whole to be added.
    folder
        Where to write it; arrays are then copied part by part and never lie in memory as a whole.
    dtypes, contents
        See `write_joined`.

    Returns
    -------
    Collection
        In memory; with `folder`, what that folder holds, opened.
    """
    names = parts[0].features if parts else ()
    columns = {name: [part[name] for part in parts] for name in names}
    if folder is None:
        whole = {name: joined(features) for name, features in columns.items()}
        return Collection(ids, modality, encoder=encoder, **whole, **given)
    write_joined(folder, modality, encoder, ids, columns, given, dtypes, contents)
    return Collection.open(folder)
