"""The encoder ``composed``: a picture with an edit in words, fused late over another encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.hookspecs import gives
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

crossrank_encoder = gives("crossrank_composed.encoder:ComposedEncoder")
