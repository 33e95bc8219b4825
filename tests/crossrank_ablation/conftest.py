"""Every test of ablations has its own cache and its own registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

import crossrank as cr
from crossrank.plugin import registry
from toys.ablation import Crowded, Noisy, OnlyText


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep raw scores away from the user's cache."""
    monkeypatch.setenv("CROSSRANK_CACHE", str(tmp_path / "user-cache"))
    return tmp_path / "user-cache" / "scores"


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """Make the toys known for the length of a test."""
    with patch.dict(registry._registered, clear=False):
        for each in (Noisy, OnlyText, Crowded):
            cr.register(each)
        Noisy.calls = Noisy.pairs = 0
        yield
