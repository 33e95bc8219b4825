from collections.abc import Callable

import pytest

from crossrank.testing import check_reranker, make_collection
from crossrank_adamatch.reranker import AdaMatchReranker
from toys.adamatch import pictures

TEXTS, PICTURES = make_collection("text", 6), pictures(12)
CHECKS = [
    *check_reranker(AdaMatchReranker),
    *check_reranker(AdaMatchReranker, queries=TEXTS, gallery=PICTURES),
    *check_reranker(AdaMatchReranker, queries=PICTURES, gallery=TEXTS, sizes=[1, 2, 3]),
    *check_reranker(AdaMatchReranker, queries=TEXTS, gallery=PICTURES, prune=0.8, mode="both"),
]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_promises(check: Callable[[], None]) -> None:
    check()
