"""The encoder ``clip``: any CLIP-family checkpoint through transformers.

Importing this package imports neither torch nor transformers; they are loaded with the model, when
the first batch is encoded.
"""

from __future__ import annotations

import crossrank as cr

__all__ = ["crossrank_encoder"]


@cr.hookimpl
def crossrank_encoder() -> type[cr.Encoder]:
    """Return the encoder class of the entry point ``clip``."""
    from crossrank_clip.encoder import ClipEncoder

    return ClipEncoder
