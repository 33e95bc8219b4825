"""The encoder ``composed``: a picture with an edit in words, fused late over another encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import crossrank as cr
from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_composed.protocol import keep_members, leave_out
    from crossrank_composed.triplets import Triplet, read_cirr, read_edits, read_fashioniq

__getattr__ = lazy_names(__name__)

__all__ = [
    "Triplet",
    "crossrank_encoder",
    "keep_members",
    "leave_out",
    "read_cirr",
    "read_edits",
    "read_fashioniq",
]


@cr.hookimpl
def crossrank_encoder() -> type[cr.Encoder]:
    """Return the encoder class of the entry point ``composed``."""
    from crossrank_composed.encoder import ComposedEncoder

    return ComposedEncoder
