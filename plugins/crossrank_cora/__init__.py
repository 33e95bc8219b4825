"""The reranker ``cora``: captions as scene graphs, pictures as grid cells, in one space.

Pham et al., "Composing Object Relations and Attributes for Image-Text Matching", CVPR 2024.  A
network trained on the Flickr8k train split ships with this package (see MODEL_CARD.md).  The parts
are public: the pooling `gpo`, graph attention, the losses, both branches.  Importing this package
does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.hookspecs import gives
from crossrank.plugin.optional import lazy_names, needs

if TYPE_CHECKING:
    from crossrank_cora.graph_attention import GraphAttention
    from crossrank_cora.losses import specificity_loss, supcon_loss, triplet_loss
    from crossrank_cora.network import Cora, Sizes, load_network, save_network
    from crossrank_cora.pooling import GeneralizedPooling, gpo
    from crossrank_cora.reranker import CoraReranker

__getattr__ = lazy_names(__name__, guard=needs("cora", "cora", "torch"))
crossrank_reranker = gives("crossrank_cora.reranker:CoraReranker")

__all__ = [
    "Cora",
    "CoraReranker",
    "GeneralizedPooling",
    "GraphAttention",
    "Sizes",
    "gpo",
    "load_network",
    "save_network",
    "specificity_loss",
    "supcon_loss",
    "triplet_loss",
]
