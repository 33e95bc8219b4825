"""The reranker ``adamatch``: words beside patches that have a size and a place of their own.

"Fine-grained Image-text Alignment in Medical Imaging Enables Explainable Cyclic Image-Report
Generation", ACL 2024.  Without weights the patches are windows of several scales over the grid of
any encoder; with weights a small network moves and sizes them (`AdaPatch`).  The box of a patch is
the evidence.  Importing this package does not import torch; `sample` and `patch_boxes` do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.hookspecs import gives
from crossrank.plugin.optional import lazy_names, needs

if TYPE_CHECKING:
    from crossrank_adamatch.ada_patch import AdaPatch
    from crossrank_adamatch.boxes import patch_boxes
    from crossrank_adamatch.cycle import second_look
    from crossrank_adamatch.hints import key_patches, keywords
    from crossrank_adamatch.losses import adamatch_loss, adamatch_loss_over_texts
    from crossrank_adamatch.network import AdaMatch, Sizes, load_network, save_network
    from crossrank_adamatch.reranker import AdaMatchReranker
    from crossrank_adamatch.sampling import sample
    from crossrank_adamatch.scales import window_boxes, windows
    from crossrank_adamatch.tiles import TilesEncoder

__getattr__ = lazy_names(__name__, guard=needs("adamatch", "adamatch", "torch"))
crossrank_reranker = gives("crossrank_adamatch.reranker:AdaMatchReranker")
crossrank_encoder = gives("crossrank_adamatch.tiles:TilesEncoder")

__all__ = [
    "AdaMatch",
    "AdaMatchReranker",
    "AdaPatch",
    "Sizes",
    "TilesEncoder",
    "adamatch_loss",
    "adamatch_loss_over_texts",
    "key_patches",
    "keywords",
    "load_network",
    "patch_boxes",
    "sample",
    "save_network",
    "second_look",
    "window_boxes",
    "windows",
]
