"""The encoder ``vista``: pictures, texts and both together in one space, by a text encoder.

Importing this package imports neither torch nor transformers; they are loaded with the model.
"""

from __future__ import annotations

import crossrank as cr

__all__ = ["crossrank_encoder"]


@cr.hookimpl
def crossrank_encoder() -> type[cr.Encoder]:
    """Return the encoder class of the entry point ``vista``."""
    from crossrank_vista.encoder import VistaEncoder

    return VistaEncoder
