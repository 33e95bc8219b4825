"""The promises that every reranker keeps."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from crossrank.testing import Check, check_reranker
from crossrank_lite_itm.reranker import LiteItmReranker
from toys.lite_itm import collection, saved

WEIGHTS = saved(Path(tempfile.mkdtemp()) / "toy.safetensors")


def checks() -> list[Check]:
    pictures, texts = collection("image"), collection("text")
    return [
        *check_reranker(LiteItmReranker, queries=texts, gallery=pictures, weights=WEIGHTS),
        *check_reranker(LiteItmReranker, queries=pictures, gallery=texts, weights=WEIGHTS),
    ]


@pytest.mark.parametrize("check", checks())
def test_lite_itm(check: Callable[[], None]) -> None:
    check()
