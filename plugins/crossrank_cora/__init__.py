"""The reranker ``cora``: captions as scene graphs, pictures as grid cells, in one space.

Pham et al., "Composing Object Relations and Attributes for Image-Text Matching", CVPR 2024.  A
network trained on the Flickr8k train split ships with this package (see MODEL_CARD.md).  The parts
are public: the pooling `gpo`, graph attention, the losses, both branches.  Importing this package
does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import crossrank as cr

if TYPE_CHECKING:
    from crossrank_cora.graph_attention import GraphAttention
    from crossrank_cora.losses import specificity_loss, supcon_loss, triplet_loss
    from crossrank_cora.network import Cora, Sizes, load_network, save_network
    from crossrank_cora.pooling import GeneralizedPooling, gpo
    from crossrank_cora.reranker import CoraReranker

_HOMES = {
    "Cora": "network",
    "CoraReranker": "reranker",
    "GeneralizedPooling": "pooling",
    "GraphAttention": "graph_attention",
    "Sizes": "network",
    "gpo": "pooling",
    "load_network": "network",
    "save_network": "network",
    "specificity_loss": "losses",
    "supcon_loss": "losses",
    "triplet_loss": "losses",
}


def __getattr__(name: str) -> Any:
    """Import a public part with its module, and torch with it, when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


@cr.hookimpl
def crossrank_reranker() -> type[CoraReranker]:
    """Return the reranker ``cora``."""
    from crossrank_cora.reranker import CoraReranker

    return CoraReranker


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
