"""The reranker ``cola``: cells and words through one encoder and one decoder with a learned query.

Ray et al., "Cola: A Benchmark for Compositional Text-to-image Retrieval", NeurIPS 2023.  Importing
this package does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.hookspecs import gives
from crossrank.plugin.optional import lazy_names, needs

if TYPE_CHECKING:
    from crossrank_cola.network import FILE, MMAdapter, Sizes, load_network
    from crossrank_cola.reranker import ColaReranker

__getattr__ = lazy_names(__name__, guard=needs("cola", "cola", "torch"))
crossrank_reranker = gives("crossrank_cola.reranker:ColaReranker")

__all__ = ["FILE", "ColaReranker", "MMAdapter", "Sizes", "load_network"]
