"""BLIP-2's two-stage retrieval as a crossrank plugin: models of transformers and of LAVIS.

Li et al., "BLIP-2: Bootstrapping Language-Image Pre-training with Frozen Image Encoders and Large
Language Models", ICML 2023.  Importing this package loads neither torch nor transformers; the first
use of a name below does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.hookspecs import gives
from crossrank.plugin.optional import lazy_names, needs

if TYPE_CHECKING:
    from crossrank_blip2.backend import Backend
    from crossrank_blip2.backends import backend_of
    from crossrank_blip2.lavis_backend import LavisBackend
    from crossrank_blip2.lavis_state import convert_lavis_state_dict
    from crossrank_blip2.reranker import Blip2Reranker
    from crossrank_blip2.texts import Tokens
    from crossrank_blip2.transformers_backend import TransformersBackend

__getattr__ = lazy_names(__name__, guard=needs("blip2", "blip2", "torch", "transformers"))
crossrank_reranker = gives("crossrank_blip2.reranker:Blip2Reranker")

__all__ = [
    "Backend",
    "Blip2Reranker",
    "LavisBackend",
    "Tokens",
    "TransformersBackend",
    "backend_of",
    "convert_lavis_state_dict",
    "crossrank_reranker",
]
