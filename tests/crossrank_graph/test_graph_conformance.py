"""The promises that every reranker keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crossrank.testing import check_reranker, make_collection
from crossrank_graph import GraphReranker

PICTURES, TEXTS = make_collection("image", 9), make_collection("text", 6)
CHECKS = [
    *check_reranker(GraphReranker, queries=TEXTS, gallery=PICTURES),
    *check_reranker(
        GraphReranker,
        queries=PICTURES,
        gallery=TEXTS,
        aggregate="softmin",
        binding=False,
        reference=make_collection("image", 5, seed=3),
    ),
]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_promises(check: Callable[[], None]) -> None:
    check()
