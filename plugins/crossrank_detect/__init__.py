"""The encoder ``detect``: a detector's boxes as regions, their features from a grid encoder.

Importing this package loads neither onnxruntime nor transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import crossrank as cr

if TYPE_CHECKING:
    from crossrank_detect.encoder import DetectEncoder


@cr.hookimpl
def crossrank_encoder() -> type[DetectEncoder]:
    """Return the encoder ``detect``."""
    from crossrank_detect.encoder import DetectEncoder

    return DetectEncoder
