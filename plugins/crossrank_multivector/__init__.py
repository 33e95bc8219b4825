"""Multi-vector encoders of the ColPali family as a crossrank plugin: an item is many unit vectors.

`MultiVectorEncoder` is the encoder ``multivector``; `crossrank_multivector.stores` makes what it
encodes smaller.  Importing this package imports neither torch nor transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.hookspecs import gives
from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_multivector.encoder import MultiVectorEncoder
    from crossrank_multivector.stores import BinaryTokens, shortlist, ward_pooled

__getattr__ = lazy_names(__name__)

__all__ = ["BinaryTokens", "MultiVectorEncoder", "crossrank_encoder", "shortlist", "ward_pooled"]

crossrank_encoder = gives("crossrank_multivector.encoder:MultiVectorEncoder")
