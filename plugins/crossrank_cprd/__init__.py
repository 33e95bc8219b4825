"""CPRD: any reranker or pipeline teaches a dual encoder its order of hard negatives.

"Contrastive Partial Ranking Distillation", CVPR 2024.  Importing this package imports no torch:
`cprd_loss` and `CprdLoss` do, when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.hookspecs import gives
from crossrank.plugin.optional import lazy_names, needs

if TYPE_CHECKING:
    from crossrank_cprd.loss import CprdLoss, cprd_loss
    from crossrank_cprd.reranker import CprdReranker

__getattr__ = lazy_names(__name__, guard=needs("the loss of cprd", "cprd", "torch"))

__all__ = ["CprdLoss", "CprdReranker", "cprd_loss", "crossrank_reranker"]

crossrank_reranker = gives("crossrank_cprd.reranker:CprdReranker")
