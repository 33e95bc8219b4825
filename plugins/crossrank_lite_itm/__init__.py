"""The reranker ``lite_itm``: gated cross attention between the words and cells of ``lite``.

Its small network was trained on the Flickr8k train split and ships with this package (see
MODEL_CARD.md).  Importing this package does not import torch.
"""

from __future__ import annotations

from crossrank.plugin.hookspecs import gives

crossrank_reranker = gives("crossrank_lite_itm.reranker:LiteItmReranker")
