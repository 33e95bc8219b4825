"""The reranker ``graph``: the units of a caption's scene graph, each looked for in the picture.

Training-free.  Importing this package loads neither spaCy nor torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.hookspecs import gives
from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_graph.reference import CellStatistics
    from crossrank_graph.reranker import GraphReranker

__getattr__ = lazy_names(__name__)
crossrank_reranker = gives("crossrank_graph.reranker:GraphReranker")

__all__ = ["CellStatistics", "GraphReranker"]
