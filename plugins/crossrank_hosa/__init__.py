"""HOSA as a crossrank plugin: words rebuilt from regions in t-product algebra (LREC-COLING 2024).

Importing this package does not import torch; the algebra (`tproduct`, `ttranspose`, `tidentity`,
`tlstsq`) and the trained heads do, scoring without heads never does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.hookspecs import gives
from crossrank.plugin.optional import lazy_names, needs

if TYPE_CHECKING:
    from crossrank_hosa.algebra import tidentity, tlstsq, tproduct, ttranspose
    from crossrank_hosa.reranker import HosaReranker

__getattr__ = lazy_names(__name__, guard=needs("the t-product algebra", "hosa", "torch"))

__all__ = ["HosaReranker", "tidentity", "tlstsq", "tproduct", "ttranspose"]

crossrank_reranker = gives("crossrank_hosa.reranker:HosaReranker")
