"""Vision–language models as rerankers that say whether a document answers a query, yes or no.

`VlmReranker` is the reranker ``vlm``.  Importing this package imports neither torch nor
transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.hookspecs import gives
from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_vlm.presets import PRESETS, Preset
    from crossrank_vlm.reranker import VlmReranker

__getattr__ = lazy_names(__name__)

__all__ = ["PRESETS", "Preset", "VlmReranker", "crossrank_reranker"]

crossrank_reranker = gives("crossrank_vlm.reranker:VlmReranker")
