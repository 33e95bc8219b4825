from collections.abc import Callable

import pytest

from crossrank.testing import check_reranker
from crossrank_filip.reranker import FilipReranker


@pytest.mark.parametrize("check", check_reranker(FilipReranker))
def test_default(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("check", check_reranker(FilipReranker, mode="both", backend="numpy"))
def test_both_in_numpy(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("check", check_reranker(FilipReranker, aggregate="sum"))
def test_sums(check: Callable[[], None]) -> None:
    check()
