"""Results on disk are not believed unread: what is damaged or forged is refused or made again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import crossrank as cr
from crossrank._lists import rankings_file
from crossrank.errors import StoreError
from crossrank_ablation.cache import ScoreCache
from crossrank_ablation.stored_block import ScoredBlock, description_key
from toys.basic import DotReranker

rng = np.random.default_rng(3)
QUERIES = cr.Collection([f"t{n}" for n in range(4)], "text", embedding=rng.normal(size=(4, 6)))
GALLERY = cr.Collection([f"i{n}" for n in range(9)], "image", embedding=rng.normal(size=(9, 6)))
CANDIDATES = cr.Candidates.from_lists({id: list(GALLERY.ids) for id in QUERIES.ids})
Tensors = dict[str, Any]


def into(folder: Path) -> cr.Rankings:
    stage = cr.Stage(DotReranker, fusion=cr.Replace())
    return cr.Pipeline(stage).rerank_to(folder, CANDIDATES, QUERIES, GALLERY)


def swapped(tensors: Tensors) -> None:
    index = tensors["index"].copy()
    index[0, :2] = index[0, 1::-1]
    tensors["index"] = index


def one_bit(tensors: Tensors) -> None:
    final = tensors["final"].copy()
    final.view(np.uint8)[0, 0] ^= 1
    tensors["final"] = final


@pytest.mark.parametrize("damage", [swapped, one_bit])
def test_damage_to_a_finished_run_does_not_come_back_silently(
    tmp_path: Path, damage: Callable[[Tensors], None]
) -> None:
    expected = into(tmp_path / "run")
    path = tmp_path / "run" / "rankings.safetensors"
    tensors = load_file(path)
    damage(tensors)
    save_file(tensors, path)
    for _ in range(2):
        with pytest.raises(StoreError, match="its content is not what was written; remove it"):
            cr.Rankings.open(path)
        with pytest.raises(StoreError, match="its content is not what was written; remove it"):
            into(tmp_path / "run")
    path.unlink()
    assert into(tmp_path / "run") == expected


def forge(path: Path, **changed: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> None:
    """Change columns and give the file the digest that goes with them."""
    tensors = load_file(path)
    for name, change in changed.items():
        tensors[name] = np.ascontiguousarray(change(tensors[name].copy()))
    about = json.loads(tensors["about"].tobytes())
    about["digest"] = rankings_file._digest(tensors, about)
    tensors["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    save_file(tensors, path)


def put(value: float) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    def change(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        array[0, 0] = value
        return array

    return change


@pytest.mark.parametrize(
    ("column", "change", "says"),
    [
        ("index", put(-1), "leads outside"),
        ("index", put(9), "leads outside"),
        ("final", put(np.nan), "not finite"),
        ("final", put(np.inf), "not finite"),
        ("final", lambda array: array[:, :3], "different shapes"),
        ("index", lambda array: array * 0, "twice"),
        ("index", lambda array: array.astype(np.float32), "no integers"),
    ],
)
def test_what_no_run_returns_is_refused(
    tmp_path: Path, column: str, change: Any, says: str
) -> None:
    into(tmp_path / "run")
    path = tmp_path / "run" / "rankings.safetensors"
    forge(path, **{column: change})
    with pytest.raises(StoreError, match=says):
        cr.Rankings.open(path)


def test_a_result_of_the_versions_before_opens(tmp_path: Path) -> None:
    expected = into(tmp_path / "run")
    path = tmp_path / "run" / "rankings.safetensors"
    tensors = load_file(path)
    about = json.loads(tensors["about"].tobytes())
    del about["digest"]
    tensors["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    save_file(tensors, path)
    assert cr.Rankings.open(path) == expected


def test_a_forged_block_of_scores_is_made_again(tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path)
    description = {"reranker": "toy"}
    key = description_key(description)
    cache.put(key, description, ScoredBlock(np.array([1, np.inf], np.float32), ("",), 1, 0.0, 0.0))
    assert cache.get(key, description) is None
    cache.put(key, description, ScoredBlock(np.array([1, np.nan], np.float32), ("",), 1, 0.0, 0.0))
    assert cache.get(key, description) is not None


def test_a_block_of_a_billion_queries_takes_no_memory(tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path)
    description = {"reranker": "toy"}
    key = description_key(description)
    cache.put(key, description, ScoredBlock(np.ones(2, np.float32), ("",), 1, 0.0, 0.0))
    path = tmp_path / f"{key}.scores"
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"queries":"1"', b'"queries":"1' + b"0" * 9 + b'"'))
    assert cache.get(key, description) is None
