"""Rankings as files: safetensors, which gives the same object back, and Parquet for other tools."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from crossrank._files.atomic import atomic_binary, atomic_bytes
from crossrank._lists.stage_scores import StageScores
from crossrank.errors import StoreError, missing_package

if TYPE_CHECKING:
    from crossrank._lists.rankings import Rankings

FORMAT = "crossrank rankings 1"
COLUMNS = ("index", "final", "mask", "base_scores", "base_ranks", "places")
OPTIONAL = ("base_scores", "places")
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
            {"name": stage.name, "weight": stage.weight, "reasons": stage.reasons}
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
    tensors["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    atomic_bytes(path, save(tensors))


def open_rankings(path: Path) -> dict[str, Any]:
    """Read the columns of what `save_rankings` wrote.

    Raises
    ------
    StoreError
        If it is missing, truncated or foreign.
    """
    try:
        tensors = load_file(path)
        about = json.loads(tensors["about"].tobytes())
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']!r}")
        return _columns(tensors, about)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise StoreError(
            f"{path} holds no rankings that can be read: {what}; remove it and rerank"
        ) from error


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
    """Write one row per hit, best first, with every stage's raw score.

    Raises
    ------
    MissingPackageError
        If pyarrow is not installed.
    StoreError
        If the file cannot be written.
    """
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
    for stage in rankings.stages:
        raw = stage.raw[rows, places]
        columns[f"raw.{stage.name}"] = pa.array(raw, mask=np.isnan(raw))
    with atomic_binary(path) as file:
        parquet.write_table(pa.table(columns), file)
