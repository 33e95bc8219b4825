"""Rankings as files: safetensors, which gives the same object back, and Parquet for other tools."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from crossrank._files.atomic import atomic_binary, atomic_bytes
from crossrank._files.parsing import check_regular, parse_json
from crossrank._lists.stage_scores import StageScores
from crossrank._lists.statistics import Statistics
from crossrank.errors import CrossrankError, StoreError, missing_package

if TYPE_CHECKING:
    from crossrank._lists.rankings import Rankings

FORMAT = "crossrank rankings 1"
OPTIONAL = ("base_scores", "places", "probabilities", "confidences")
COLUMNS = ("index", "final", "mask", "base_ranks", *OPTIONAL)
STAGE_COLUMNS = ("raw", "normalised", "seen")


def save_rankings(rankings: Rankings, path: Path) -> None:
    """Write rankings as safetensors; names and reasons are JSON in a tensor of bytes."""
    arrays = {name: getattr(rankings, name) for name in COLUMNS}
    about: dict[str, Any] = {
        "format": FORMAT,
        "query_ids": rankings.query_ids,
        "candidate_ids": rankings.candidate_ids,
        "direction": rankings.direction,
        "unscored": rankings.unscored,
        "stages": [
            {
                "name": stage.name,
                "weight": stage.weight,
                "reasons": stage.reasons,
                "statistics": None if stage.statistics is None else asdict(stage.statistics),
            }
            for stage in rankings.stages
        ],
    }
    for number, stage in enumerate(rankings.stages):
        arrays |= {f"stage{number}.{name}": getattr(stage, name) for name in STAGE_COLUMNS}
    tensors = {
        name: np.ascontiguousarray(array.astype(np.uint8) if array.dtype == np.bool_ else array)
        for name, array in arrays.items()
        if array is not None
    }
    about["digest"] = _digest(tensors, about)
    tensors["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    atomic_bytes(path, save(tensors))


def open_rankings(path: Path) -> dict[str, Any]:
    """Read the columns of what `save_rankings` wrote; a `StoreError` for anything else.

    That is another digest than the one it was written with, or what no run returns.
    """
    try:
        check_regular(path)
        tensors = load_file(path)
        about = parse_json(tensors["about"].tobytes())
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']!r}")
        # a file of the versions before has none
        if about.get("digest", "") not in ("", _digest(tensors, about)):
            raise ValueError("its content is not what was written")
        columns = _columns(tensors, about)
        _check(columns)
        return columns
    except (
        SafetensorError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
        CrossrankError,
    ) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise StoreError(
            f"{path} holds no rankings that can be read: {what}; remove it and rerank"
        ) from error


def _digest(tensors: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> str:
    """Digest all that a file holds, but for the digest itself."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps({**about, "digest": ""}, sort_keys=True).encode())
    for name in sorted(tensors.keys() - {"about"}):
        array = np.ascontiguousarray(tensors[name])
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.data)
    return digest.hexdigest()


def _check(columns: Mapping[str, Any]) -> None:
    """Refuse columns that no run returns, whatever their digest says, by a ValueError."""
    mask, index, final = (columns[name] for name in ("mask", "index", "final"))
    shape = (len(columns["query_ids"]), *mask.shape[1:])
    tables = [name for name in COLUMNS if name != "confidences"]
    arrays = [columns[name] for name in tables if columns[name] is not None]
    arrays += [getattr(stage, name) for stage in columns["stages"] for name in STAGE_COLUMNS]
    if len(shape) != 2 or any(array.shape != shape for array in arrays):
        raise ValueError("its columns have different shapes")
    if columns["confidences"] is not None and columns["confidences"].shape != shape[:1]:
        raise ValueError("its confidences are not one for each query")
    if index.dtype.kind not in "iu" or columns["base_ranks"].dtype.kind not in "iu":
        raise ValueError("its indices are no integers")
    known = len(columns["candidate_ids"])
    if (mask & ((index < 0) | (index >= known))).any():
        raise ValueError(f"an index leads outside its {known} candidates")
    if not np.isfinite(final[mask]).all():
        raise ValueError("a final score is not finite")
    rows, places = np.nonzero(mask)
    if columns["places"] is None and len(
        np.unique(rows * np.int64(max(1, known)) + index[rows, places])
    ) != len(rows):
        raise ValueError("a list holds a candidate twice")


def _columns(tensors: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> dict[str, Any]:
    boolean = ("mask", "seen")

    def column(name: str) -> NDArray[Any]:
        array = tensors[name]
        return array.astype(np.bool_) if name.rpartition(".")[2] in boolean else array

    stages = tuple(
        StageScores(
            name=each["name"],
            weight=each["weight"],
            reasons=tuple(each["reasons"]),
            statistics=None if (own := each.get("statistics")) is None else Statistics(**own),
            **{key: column(f"stage{number}.{key}") for key in STAGE_COLUMNS},
        )
        for number, each in enumerate(about["stages"])
    )
    return {
        "query_ids": tuple(about["query_ids"]),
        "candidate_ids": tuple(about["candidate_ids"]),
        "stages": stages,
        "direction": about["direction"],
        "unscored": tuple(map(tuple, about.get("unscored", ()))),
        **{name: tensors.get(name) for name in OPTIONAL},
        **{name: column(name) for name in COLUMNS if name not in OPTIONAL},
    }


def write_parquet(rankings: Rankings, path: Path) -> None:
    """Write one row per hit, best first, with every stage's raw score."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise missing_package("pyarrow", "parquet", "Rankings.to_parquet") from error
    rows, places = np.nonzero(rankings.mask)
    index = rankings.index[rows, places]
    columns = {
        "query_id": pa.array([rankings.query_ids[row] for row in rows]),
        "candidate_id": pa.array([rankings.candidate_ids[row] for row in index]),
        "rank": places + 1,
        "score": rankings.final[rows, places],
        "base_rank": rankings.base_ranks[rows, places],
    }
    if rankings.base_scores is not None:
        columns["base_score"] = rankings.base_scores[rows, places]
    if rankings.probabilities is not None:
        columns["probability"] = rankings.probabilities[rows, places]
    for stage in rankings.stages:
        raw = stage.raw[rows, places]
        columns[f"raw.{stage.name}"] = pa.array(raw, mask=np.isnan(raw))
    with atomic_binary(path) as file:
        parquet.write_table(pa.table(columns), file)
