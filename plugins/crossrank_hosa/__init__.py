"""HOSA as a crossrank plugin: words rebuilt from regions in t-product algebra (LREC-COLING 2024).

Importing this package does not import torch; the algebra (`tproduct`, `ttranspose`, `tidentity`,
`tlstsq`) and the trained heads do, scoring without heads never does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import crossrank as cr
from crossrank.errors import missing_package

if TYPE_CHECKING:
    from crossrank_hosa.algebra import tidentity, tlstsq, tproduct, ttranspose
    from crossrank_hosa.reranker import HosaReranker

__all__ = ["tidentity", "tlstsq", "tproduct", "ttranspose"]


@cr.hookimpl
def crossrank_reranker() -> type[HosaReranker]:
    """Return the reranker ``hosa``."""
    from crossrank_hosa.reranker import HosaReranker

    return HosaReranker


def __getattr__(name: str) -> Any:
    """Import the algebra, and torch with it, when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from crossrank_hosa import algebra
    except ImportError as error:
        raise missing_package("torch", "hosa", "the t-product algebra") from error
    return getattr(algebra, name)
