"""The encoder ``vista``: pictures, texts and both together in one space, by a text encoder.

Importing this package imports neither torch nor transformers; they are loaded with the model.
"""

from __future__ import annotations

from crossrank.plugin.hookspecs import gives

__all__ = ["crossrank_encoder"]

crossrank_encoder = gives("crossrank_vista.encoder:VistaEncoder")
