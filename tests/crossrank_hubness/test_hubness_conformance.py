"""The promises that every reranker keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crossrank.testing import check_reranker, make_collection
from crossrank_hubness.rerankers.csls import CslsReranker
from crossrank_hubness.rerankers.dn import DnReranker
from crossrank_hubness.rerankers.dsl import DslReranker
from crossrank_hubness.rerankers.dualis import DualisReranker
from crossrank_hubness.rerankers.invsoftmax import InvsoftmaxReranker
from crossrank_hubness.rerankers.kreciprocal import KreciprocalReranker
from crossrank_hubness.rerankers.nnn import NnnReranker
from crossrank_hubness.rerankers.qbnorm import QbnormReranker
from crossrank_hubness.rerankers.sinkhorn import SinkhornReranker

BANK = make_collection("text", 20, seed=7)
CHECKS = [
    *check_reranker(NnnReranker, bank=BANK, k=3),
    *check_reranker(CslsReranker, bank=BANK, k=3),
    *check_reranker(InvsoftmaxReranker, bank=BANK, beta=5.0),
    *check_reranker(QbnormReranker, bank=BANK, beta=5.0),
    *check_reranker(DualisReranker, bank=BANK, beta1=5.0, beta2=2.0),
    *check_reranker(DnReranker, bank=BANK),
    *check_reranker(DslReranker, beta=5.0),
    *check_reranker(SinkhornReranker, temperature=0.2),
    *check_reranker(KreciprocalReranker, bank=BANK, k1=4, k2=2),
]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_promises(check: Callable[[], None]) -> None:
    check()
