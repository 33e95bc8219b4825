"""Q-Perturbation as a crossrank plugin: queries that look at the objects of an image.

"Object-Aware Query Perturbation for Cross-Modal Image-Text Retrieval", ECCV 2024.  Importing this
package loads neither torch nor transformers; the first use of a name below does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import crossrank as cr
from crossrank.errors import missing_package

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

_HOMES = {
    "CrossAttention": "cross_attention",
    "Perturbation": "matrices",
    "QPerturbReranker": "reranker",
    "attention_maps": "attention",
    "attention_picture": "picture",
    "boxes_to_input": "input_boxes",
    "coco_entities": "annotations",
    "cross_attentions": "models",
    "evidence_picture": "picture",
    "flickr30k_entities": "annotations",
    "perturbation": "perturbing",
    "perturbed": "perturbing",
}


@cr.hookimpl
def crossrank_reranker() -> type[cr.Reranker]:
    """Return the reranker ``qperturb``."""
    reranker: type[cr.Reranker] = __getattr__("QPerturbReranker")
    return reranker


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "transformers"):
            raise
        raise missing_package(str(error.name), "qperturb", "qperturb") from error


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
