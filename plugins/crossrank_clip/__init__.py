"""The encoder ``clip``: any CLIP-family checkpoint through transformers.

Importing this package imports neither torch nor transformers; they are loaded with the model, when
the first batch is encoded.
"""

from __future__ import annotations

from crossrank.plugin.hookspecs import gives

__all__ = ["crossrank_encoder"]

crossrank_encoder = gives("crossrank_clip.encoder:ClipEncoder")
