"""Whether a collection is what a call would make, and the items that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crossrank._items.collection import Collection
from crossrank._items.item import Item
from crossrank._items.manifest import read_manifest
from crossrank.errors import (
    FeatureMismatchError,
    InputError,
    MissingFeatureError,
    StoreError,
    UnknownIdError,
)


def check_same_source(
    folder: Path, before: Collection, modality: str, encoder: str, wanted: Sequence[str] | None
) -> None:
    """Refuse a folder that holds another modality, other features, or those of another encoder."""
    if before.modality != modality:
        raise InputError(f"encode: {folder} holds {before.modality}s, the items are {modality}s")
    if before.encoder != encoder:
        raise FeatureMismatchError(
            f"encode: {folder} was made by {before.encoder!r}, this call is by {encoder!r}; choose "
            "another folder, or remove it"
        )
    for name in wanted or ():
        if name not in before:
            raise MissingFeatureError(
                f"encode: {folder} has no {name!r}; add it with add_to={str(folder)!r}, "
                f"features=[{name!r}]"
            )


def check_same_items(
    folder: Path, before: Collection, ids: Sequence[str], needed: Sequence[str], contents: str
) -> None:
    """Refuse a folder that was made of other items, or of files that have changed since."""
    for name in needed:
        if name not in before:
            raise MissingFeatureError(f"encode: {folder} has no {name!r}; add it with add_to=")
    if before.ids != tuple(ids):
        new = len(set(ids) - set(before.ids))
        gone = len(set(before.ids) - set(ids))
        what = f"{new} new, {gone} gone" if new or gone else "in another order"
        raise StoreError(
            f"{folder} holds other items than these ({what}); give append=True to append new "
            "ones, choose another folder, or remove it"
        )
    made_of = read_manifest(folder).get("contents")
    if made_of is not None and made_of != contents:
        raise StoreError(
            f"{folder} was made of items or files that have changed since; remove it, or choose "
            "another folder"
        )


def items_of(collection: Collection, given: Sequence[Item] | None) -> list[Item]:
    """Return the items of a collection, in its order: those among `given` with these ids.

    Where nothing is given, they are found by ``path`` and ``text``.
    """
    if given is not None:
        known = {str(n) if item.id is None else item.id: item for n, item in enumerate(given)}
        for id in collection.ids:
            if id not in known:
                raise UnknownIdError(
                    f"encode: add_to holds the id {id!r}, which is not among the items; give all "
                    "of its items"
                )
        return [known[id] for id in collection.ids]
    sides = {"image": "path", "text": "text"}
    for kind in collection.modality.split("+"):
        if sides[kind] not in collection:
            raise InputError(
                f"encode: add_to has no {sides[kind]!r}, by which its items would be found; give "
                "the items"
            )
    texts = collection["text"] if "text" in collection.modality else None
    paths = collection["path"] if "image" in collection.modality else None
    return [
        Item(
            id,
            None if texts is None else str(texts[row]),
            None if paths is None else Path(str(paths[row])),
        )
        for row, id in enumerate(collection.ids)
    ]
