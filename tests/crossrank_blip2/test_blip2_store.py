"""The features on disk: kept, evicted, damaged, killed half-way."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

import crossrank as cr
from crossrank.errors import ParameterError, StoreError
from crossrank_blip2 import Blip2Reranker
from crossrank_blip2.features import FeatureStore
from crossrank_blip2.sizes import parse_bytes
from toys.blip2 import CountingBackend, run

FILE = 4 * 100


def features(value: float) -> torch.Tensor:
    return torch.full((10, 10), float(value))


def aged(store: FeatureStore, key: str, seconds: float) -> None:
    path = store.root / store.model / f"{key}.safetensors"
    stamp = path.stat().st_mtime - seconds
    os.utime(path, (stamp, stamp))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_what_was_put_is_got_by_another_store(dtype: torch.dtype, tmp_path: Path) -> None:
    given = torch.randn(5, 7).to(dtype)
    assert FeatureStore(tmp_path, "m", 10_000).put("a", given)
    store = FeatureStore(tmp_path, "m", 10_000)
    found = store.get("a")
    assert found is not None
    assert found.dtype == dtype
    assert torch.equal(found, given)
    assert store.get("b") is None
    assert FeatureStore(tmp_path, "other", 10_000).get("a") is None


def test_the_longest_unused_makes_room_whatever_its_model(tmp_path: Path) -> None:
    old = FeatureStore(tmp_path, "old", 10_000)
    new = FeatureStore(tmp_path, "new", 3 * FILE + 500, frozenset("wxyz"))
    for key, age in (("a", 30), ("b", 20), ("c", 10)):
        old.put(key, features(1))
        aged(old, key, age)
    assert old.get("a") is not None  # used just now
    assert new.put("x", features(2))
    assert [key for key in "abc" if old.get(key) is not None] == ["a", "c"]


def test_what_the_run_needs_is_never_removed_for_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FeatureStore(tmp_path, "m", 2 * FILE + 400, frozenset("abcd"))
    assert [store.put(key, features(1)) for key in "abcd"] == [True, True, False, False]
    assert store.get("a") is not None
    assert store.get("c") is None
    assert caplog.text.count("do not fit into") == 1
    assert "cache_budget" in caplog.text


def test_a_damaged_file_is_not_there(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "m", 10_000)
    store.put("a", features(1))
    path = tmp_path / "m" / "a.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    assert store.get("a") is None
    assert store.put("a", features(2))
    found = store.get("a")
    assert found is not None
    assert torch.equal(found, features(2))


def test_what_a_killed_run_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    for name, age in ((".a.safetensors.x", 7200), (".b.safetensors.y", 0)):
        path = folder / name
        path.write_bytes(b"half")
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    FeatureStore(tmp_path, "m", 10_000).put("c", features(1))
    assert sorted(path.name for path in folder.iterdir()) == [".b.safetensors.y", "c.safetensors"]


def test_files_behind_a_link_are_not_removed_to_make_room(tmp_path: Path) -> None:
    elsewhere = FeatureStore(tmp_path / "elsewhere", "old", 10_000)
    elsewhere.put("a", features(1))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "old").symlink_to(tmp_path / "elsewhere" / "old")
    store = FeatureStore(tmp_path / "cache", "new", FILE + 200)
    assert store.put("b", features(1))
    assert store.put("c", features(2))
    assert elsewhere.get("a") is not None
    assert store.get("b") is None


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("a file in its place")
    with pytest.raises(StoreError, match=r"could not be written"):
        FeatureStore(tmp_path, "m", 10_000).put("a", features(1))


@pytest.mark.parametrize("size", ["10", 10, "0.01KB", " 10 "])
def test_sizes(size: int | str) -> None:
    assert parse_bytes(size) == 10
    assert parse_bytes("2 gb") == 2 << 30
    for wrong in ("", "-1", "ten", True, None):
        with pytest.raises(ParameterError, match="cache_budget is"):
            parse_bytes(wrong)  # type: ignore[arg-type]


def test_a_run_that_was_killed_goes_on(
    backend: CountingBackend, texts: cr.Collection, images: cr.Collection, tmp_path: Path
) -> None:
    backend.dies_at = 5
    with pytest.raises(KeyboardInterrupt):
        run(Blip2Reranker(model=backend, batch_size=2), texts, images, cache_folder=tmp_path)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 4
    backend.dies_at = 1 << 30
    reranker = Blip2Reranker(model=backend, batch_size=2)
    found = run(reranker, texts, images, cache_folder=tmp_path)
    assert reranker.encoded_images == len(images) - 4
    fresh = run(Blip2Reranker(model=backend), texts, images)
    np.testing.assert_allclose(found.to_similarity(), fresh.to_similarity(), atol=1e-5)


@pytest.mark.parametrize("budget", [0, 5_000])
def test_a_budget_that_is_too_small_costs_time_only(
    budget: int,
    backend: CountingBackend,
    texts: cr.Collection,
    images: cr.Collection,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = run(Blip2Reranker(model=backend), texts, images).to_similarity()
    reranker = Blip2Reranker(model=backend, cache_budget=budget)
    with caplog.at_level(logging.WARNING):
        found = run(reranker, texts, images, cache_folder=tmp_path).to_similarity()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    kept = list((tmp_path / "blip2").rglob("*.safetensors"))
    assert sum(path.stat().st_size for path in kept) <= budget
    # once in prepare(), and the ones left out once more in the only block
    assert reranker.encoded_images == 2 * len(images) - len(kept)
    assert f"features of {len(images)} images do not fit" in caplog.text


@pytest.mark.parametrize("dtype", ["auto", "float16", "bfloat16"])
def test_the_float_type_on_disk(
    dtype: str,
    backend: CountingBackend,
    texts: cr.Collection,
    images: cr.Collection,
    tmp_path: Path,
) -> None:
    exact = run(Blip2Reranker(model=backend), texts, images).to_similarity()
    reranker = Blip2Reranker(model=backend, cache_dtype=dtype)
    scores = [run(reranker, texts, images, cache_folder=tmp_path).to_similarity() for _ in range(2)]
    np.testing.assert_array_equal(scores[0], scores[1])
    path = next(tmp_path.rglob("*.safetensors"))
    with safe_open(path, framework="pt") as file:
        stored: Any = file.get_tensor("image_embeds").dtype
    assert stored == (torch.float32 if dtype == "auto" else getattr(torch, dtype))
    away = np.abs(scores[0] - exact).max()
    assert (away == 0) if dtype == "auto" else (1e-6 < away < 0.1)
