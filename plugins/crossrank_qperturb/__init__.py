"""Q-Perturbation as a crossrank plugin: queries that look at the objects of an image.

"Object-Aware Query Perturbation for Cross-Modal Image-Text Retrieval", ECCV 2024.  Importing this
package loads neither torch nor transformers; the first use of a name below does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.hookspecs import gives
from crossrank.plugin.optional import lazy_names, needs

if TYPE_CHECKING:
    from crossrank_qperturb.annotations import coco_entities, flickr30k_entities
    from crossrank_qperturb.attention import attention_maps
    from crossrank_qperturb.cross_attention import CrossAttention
    from crossrank_qperturb.input_boxes import boxes_to_input
    from crossrank_qperturb.matrices import Perturbation
    from crossrank_qperturb.models import cross_attentions
    from crossrank_qperturb.perturbing import perturbation, perturbed
    from crossrank_qperturb.picture import attention_picture, evidence_picture
    from crossrank_qperturb.reranker import QPerturbReranker

__getattr__ = lazy_names(__name__, guard=needs("qperturb", "qperturb", "torch", "transformers"))
crossrank_reranker = gives("crossrank_qperturb.reranker:QPerturbReranker")

__all__ = [
    "CrossAttention",
    "Perturbation",
    "QPerturbReranker",
    "attention_maps",
    "attention_picture",
    "boxes_to_input",
    "coco_entities",
    "cross_attentions",
    "crossrank_reranker",
    "evidence_picture",
    "flickr30k_entities",
    "perturbation",
    "perturbed",
]
