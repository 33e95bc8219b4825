from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import crossrank as cr
from toys.basic import DotReranker
from toys.feature_cache import Counting, picture


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give every test a cache of its own, in memory too."""
    monkeypatch.setenv("CROSSRANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Counting, "seen", 0)
    cr.register(Counting)
    cr.register(DotReranker)
    yield tmp_path / "cache" / "features"


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    return [picture(tmp_path / f"{n}.png", n) for n in range(5)]
