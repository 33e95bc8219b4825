"""Features of several collections put end to end, in memory or straight into files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossrank._files.atomic import atomic_folder
from crossrank._files.reserving import new_npy_at
from crossrank._items.collection_folder import write_ids
from crossrank._items.compact import COMPACT, write_rows
from crossrank._items.feature import Feature
from crossrank._items.feature_files import write_feature
from crossrank._items.manifest import write_manifest
from crossrank._items.ragged import Ragged
from crossrank.errors import FeatureMismatchError, InputError, MissingFeatureError

if TYPE_CHECKING:
    from crossrank._items.collection import Collection


def write_joined(
    folder: Path,
    modality: str,
    encoder: str | None,
    ids: tuple[str, ...],
    parts: Mapping[str, Sequence[Feature]],
    given: Mapping[str, Feature] = MappingProxyType({}),
    dtypes: Mapping[str, str] = MappingProxyType({}),
    contents: str | None = None,
) -> None:
    """Write the folder of a collection: features in parts, put end to end, and those of the whole.

    Arrays are copied part by part and never lie in memory as a whole.  For `dtypes` see
    `Collection.save`; by `contents` the items are recognised that the collection was made from.
    """
    with atomic_folder(folder) as partial:
        write_ids(partial, ids)
        kinds = {
            name: write_parts(partial, name, features, dtypes.get(name))
            for name, features in parts.items()
        }
        kinds |= {
            name: write_feature(partial, name, feature, dtypes.get(name))
            for name, feature in given.items()
        }
        paths = chain(*parts.get("path", ()), given.get("path", ()))
        write_manifest(partial, modality, encoder, len(ids), kinds, contents=contents, paths=paths)


def columns_of(parts: Sequence[Collection]) -> dict[str, list[Any]]:
    """Return per feature of collections that all have the same what each of them has."""
    return {name: [part[name] for part in parts] for name in (parts[0].features if parts else ())}


def joined(features: Sequence[Any]) -> Feature:
    """Return one feature of all items, in memory."""
    first = features[0]
    if isinstance(first, Ragged):
        return Ragged(
            np.concatenate([each.flat for each in features]),
            np.concatenate([each.lengths for each in features]),
        )
    if isinstance(first, np.ndarray):
        return np.concatenate(features)
    return tuple(value for each in features for value in each)


def write_parts(
    folder: Path, name: str, features: Sequence[Any], dtype: str | None, stem: str = ""
) -> str:
    """Write one feature of all items and return its kind, see `write_feature`."""
    stem = stem if stem else name
    first = features[0]
    if isinstance(first, Ragged):
        lengths = np.concatenate([each.lengths for each in features])
        np.save(folder / f"{stem}.lengths.npy", lengths, allow_pickle=False)
        if dtype is not None:
            write_rows(folder / f"{stem}.npy", name, [each.flat for each in features], dtype)
            return f"ragged {dtype}" if dtype in COMPACT else "ragged"
        _copy(folder / f"{stem}.npy", [each.flat for each in features])
        return "ragged"
    if isinstance(first, np.ndarray) and dtype is None:
        _copy(folder / f"{stem}.npy", features)
        return "array"
    return write_feature(folder, name, joined(features), dtype, stem)


def _copy(path: Path, arrays: Sequence[NDArray[Any]]) -> None:
    rows = sum(len(array) for array in arrays)
    if rows == 0:
        np.save(path, arrays[0], allow_pickle=False)
        return
    whole: Any = new_npy_at(path, arrays[0].dtype, (rows, *arrays[0].shape[1:]))
    start = 0
    for array in arrays:
        whole[start : start + len(array)] = array
        start += len(array)
    whole.flush()


def check_joinable(who: str, name: str, features: Sequence[Any]) -> None:
    """Refuse to put features of different kinds, or with rows of different sizes, end to end."""
    forms = {_form(feature) for feature in features if len(feature)}
    if len(forms) > 1:
        shown = " and ".join(sorted(f"{kind} {list(shape)}".strip() for kind, shape in forms))
        raise FeatureMismatchError(
            f"{who}: {name!r} is {shown}; encode both with the same encoder and settings"
        )


def check_like(first: Collection, other: Collection, who: str) -> None:
    """Refuse a collection that does not go on where another ends."""
    if other.modality != first.modality:
        raise InputError(f"{who} holds {other.modality}s, the first {first.modality}s")
    for name in first.features:
        if name not in other:
            raise MissingFeatureError(
                f"{who} has no feature {name!r}, which the first has; encode it with the same "
                "features, or take() those that all have"
            )
    for name in other.features:
        if name not in first:
            raise MissingFeatureError(
                f"{who} has the feature {name!r}, which the first has not; encode all with the "
                "same features, or take() those that all have"
            )
    if first.encoder and other.encoder and first.encoder != other.encoder:
        raise FeatureMismatchError(
            f"{who} was encoded by {other.encoder!r}, the first by {first.encoder!r}; encode both "
            "with the same encoder"
        )


def _form(feature: Any) -> tuple[str, tuple[int, ...]]:
    if isinstance(feature, Ragged):
        return "ragged rows of", tuple(feature.trailing)
    if isinstance(feature, np.ndarray):
        return "an array of rows", tuple(feature.shape[1:])
    return "values", ()
