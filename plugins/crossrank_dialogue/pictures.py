"""The gallery of a conversation: a collection, or a folder of photographs that is made one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import crossrank as cr
from crossrank.cli.kit import read_items
from crossrank.errors import StoreError
from crossrank.plugin.encoders import as_encoder

MANIFEST = "collection.json"
"""By which a folder is known as a collection."""


def open_gallery(
    folder: Path,
    encoder: str | None,
    stages: Sequence[cr.Stage],
    store: Path | None,
    progress: cr.Progress | bool | None = None,
) -> cr.Collection:
    """Open a collection, or encode a folder of photographs once and keep that.

    Parameters
    ----------
    folder
        Either.
    encoder
        For photographs; ``lite`` by default.
    stages
        What will read the gallery.
    store
        Where the features of photographs are kept: by default a folder of the user's cache that is
        named after the photographs, so that one which was added or changed makes another.
    progress
        As for `crossrank.encode`.

    Raises
    ------
    StoreError
        If there is no such folder.
    InputError
        If it holds no photographs.
    """
    if (folder / MANIFEST).is_file():
        return cr.Collection.open(folder)
    if not folder.is_dir():
        raise StoreError(f"{folder} is not a folder; give a collection or a folder of photographs")
    items = read_items(folder)
    maker = as_encoder("lite" if encoder is None else encoder, {})
    known = maker.info.features.get("image", ())
    read = [name for stage in stages for name in stage.scorer.info.candidate_features]
    wanted = dict.fromkeys(["embedding", *maker.info.default_features, *read])
    features = [name for name in wanted if name in known]
    if store is None:
        stats = [(str(i.image), *_stat(Path(str(i.image)))) for i in items]
        store = cache_folder() / cr.fingerprint([maker, features, stats])[:24]
    if not (store / MANIFEST).is_file():
        store.parent.mkdir(parents=True, exist_ok=True)
        cr.encode(maker, items, "image", features, store, progress=progress)
    return cr.Collection.open(store)


def cache_folder() -> Path:
    """Return where features of photographs are kept unless a folder is named."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "crossrank" / "chat"


def _stat(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    return found.st_size, found.st_mtime_ns
