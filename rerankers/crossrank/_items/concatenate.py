"""Putting collections end to end, in memory or straight into a folder on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._files.atomic import atomic_folder
from crossrank._items.collection import Collection
from crossrank._items.collection_folder import write_feature, write_ids, write_manifest
from crossrank._items.compact import COMPACT, write_rows
from crossrank._items.feature import Feature
from crossrank._items.ragged import Ragged


def assemble(
    parts: Sequence[Collection],
    modality: str,
    encoder: str | None,
    given: Mapping[str, Feature],
    ids: tuple[str, ...],
    folder: Path | None = None,
    dtypes: Mapping[str, str] = MappingProxyType({}),
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
    dtypes
        As what to write some features, see `Collection.save`.

    Returns
    -------
    Collection
        In memory; with `folder`, what that folder holds, opened.
    """
    names = parts[0].features if parts else ()
    if folder is None:
        joined = {name: _joined([part[name] for part in parts]) for name in names}
        return Collection(ids, modality, encoder=encoder, **joined, **given)
    with atomic_folder(folder) as partial:
        write_ids(partial, ids)
        kinds = {
            name: _write(partial, name, [part[name] for part in parts], dtypes.get(name))
            for name in names
        }
        kinds |= {
            name: write_feature(partial, name, feature, dtypes.get(name))
            for name, feature in given.items()
        }
        write_manifest(partial, modality, encoder, len(ids), kinds)
    return Collection.open(folder)


def _joined(features: Sequence[Any]) -> Feature:
    first = features[0]
    if isinstance(first, Ragged):
        return Ragged(
            np.concatenate([each.flat for each in features]),
            np.concatenate([each.lengths for each in features]),
        )
    if isinstance(first, np.ndarray):
        return np.concatenate(features)
    return tuple(value for each in features for value in each)


def _write(folder: Path, name: str, features: Sequence[Any], dtype: str | None) -> str:
    first = features[0]
    if isinstance(first, Ragged):
        lengths = np.concatenate([each.lengths for each in features])
        np.save(folder / f"{name}.lengths.npy", lengths, allow_pickle=False)
        if dtype is not None:
            write_rows(folder / f"{name}.npy", name, [each.flat for each in features], dtype)
            return f"ragged {dtype}" if dtype in COMPACT else "ragged"
        _copy(folder / f"{name}.npy", [each.flat for each in features])
        return "ragged"
    if isinstance(first, np.ndarray) and dtype is None:
        _copy(folder / f"{name}.npy", features)
        return "array"
    return write_feature(folder, name, _joined(features), dtype)


def _copy(path: Path, arrays: Sequence[NDArray[Any]]) -> None:
    rows = sum(len(array) for array in arrays)
    if rows == 0:
        np.save(path, arrays[0], allow_pickle=False)
        return
    whole = np.lib.format.open_memmap(
        path, mode="w+", dtype=arrays[0].dtype, shape=(rows, *arrays[0].shape[1:])
    )
    start = 0
    for array in arrays:
        whole[start : start + len(array)] = array
        start += len(array)
    whole.flush()
