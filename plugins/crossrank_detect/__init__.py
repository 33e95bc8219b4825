"""The encoder ``detect``: a detector's boxes as regions, their features from a grid encoder.

Importing this package loads neither onnxruntime nor transformers.
"""

from __future__ import annotations

from crossrank.plugin.hookspecs import gives

crossrank_encoder = gives("crossrank_detect.encoder:DetectEncoder")
