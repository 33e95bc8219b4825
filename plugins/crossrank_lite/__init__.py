"""The encoder ``lite``: the embedded default, which needs no model hub.

EfficientNet-Lite0 grid cells and MiniLM word vectors, both out of PyPI packages, joined by small
heads that ship with this package (see MODEL_CARD.md).  Importing this package does not import
torch; it is loaded with the models, when the first batch is encoded.
"""

from __future__ import annotations

from crossrank.plugin.hookspecs import gives

crossrank_encoder = gives("crossrank_lite.encoder:LiteEncoder")

__all__ = ["crossrank_encoder"]
