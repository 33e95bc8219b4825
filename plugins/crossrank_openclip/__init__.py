"""The encoder ``openclip``: any model of open_clip, MobileCLIP and GeoRSCLIP among them.

Importing this package imports neither torch nor open_clip; they are loaded with the model, when the
first batch is encoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crossrank.plugin.hookspecs import gives
from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_openclip.encoder import OpenClipEncoder
    from crossrank_openclip.importing import open_clip

__getattr__ = lazy_names(__name__)

__all__ = ["OpenClipEncoder", "crossrank_encoder", "fold", "open_clip"]

crossrank_encoder = gives("crossrank_openclip.encoder:OpenClipEncoder")


def fold(module: Any) -> int:
    """Merge the parallel branches of a network's blocks; see `crossrank_openclip.folding.fold`."""
    from crossrank_openclip import folding

    return folding.fold(module)
