from collections.abc import Callable, Iterator
from typing import Any

import pytest

from crossrank.testing import check_reranker, make_collection
from crossrank_hosa.reranker import HosaReranker

SIZES = {"tokens": 48, "embedding": 48}
SIDES = [make_collection("text", 6, dimensions=SIZES), make_collection("image", dimensions=SIZES)]


def checks() -> Iterator[Any]:
    sets: list[dict[str, Any]] = [
        {},
        {"beta": 0.0, "gamma": 0.0},
        {"fold": 3, "interaction": "embedding", "reduction": "sum"},
    ]
    for params in sets:
        for queries, gallery in (SIDES, SIDES[::-1]):
            yield from check_reranker(HosaReranker, queries=queries, gallery=gallery, **params)


@pytest.mark.parametrize("check", list(checks()))
def test_promises(check: Callable[[], None]) -> None:
    check()
