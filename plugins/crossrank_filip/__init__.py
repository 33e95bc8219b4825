"""FILIP token-wise late interaction as a crossrank plugin (Yao et al., ICLR 2022).

Importing this package does not import torch; the training modules `crossrank_filip.loss` and
`crossrank_filip.heads` do, and so does scoring, where torch is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import crossrank as cr

if TYPE_CHECKING:
    from crossrank_filip.reranker import FilipReranker


@cr.hookimpl
def crossrank_reranker() -> type[FilipReranker]:
    """Return the reranker ``filip``."""
    from crossrank_filip.reranker import FilipReranker

    return FilipReranker
