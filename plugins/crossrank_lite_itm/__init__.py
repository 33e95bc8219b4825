"""The reranker ``lite_itm``: gated cross attention between the words and cells of ``lite``.

Its small network was trained on the Flickr8k train split and ships with this package (see
MODEL_CARD.md).  Importing this package does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import crossrank as cr

if TYPE_CHECKING:
    from crossrank_lite_itm.reranker import LiteItmReranker


@cr.hookimpl
def crossrank_reranker() -> type[LiteItmReranker]:
    """Return the reranker ``lite_itm``."""
    from crossrank_lite_itm.reranker import LiteItmReranker

    return LiteItmReranker
