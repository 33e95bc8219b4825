"""Any object detection model that transformers knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from crossrank.plugin.hub import Checkpoint, check_weights
from crossrank.plugin.optional import required
from crossrank_detect.detections import Detections, best_detections


class HubDetector:
    """An ``AutoModelForObjectDetection``.

    Parameters
    ----------
    name
        A folder, or a name on the model hub.
    threshold, most
        See `DetectParameters`; these models suppress duplicates themselves.

    Raises
    ------
    MissingPackageError
        Without transformers and torch.
    StoreError, PluginError
        If there is no such model; see `crossrank.plugin.hub.Checkpoint`.
    """

    def __init__(self, name: str, threshold: float, most: int) -> None:
        torch, transformers = (
            required(name, "detect", "a detector of the hub") for name in ("torch", "transformers")
        )
        models: Any = transformers.AutoModelForObjectDetection
        processors: Any = transformers.AutoImageProcessor

        def read(where: Mapping[str, Any]) -> tuple[Any, Any]:
            options = {**where, "trust_remote_code": False}
            model, report = models.from_pretrained(name, output_loading_info=True, **options)
            check_weights(report)
            return model.eval(), processors.from_pretrained(name, backend="pil", **options)

        files = "config.json, preprocessor_config.json and the weights"
        self._model, self._processor = Checkpoint("detect", name, files=files).load(read)
        self._torch = torch
        self._threshold, self._most = threshold, most

    def detect(self, picture: Image.Image) -> Detections:
        """Return what is in an RGB picture."""
        inputs = self._processor(images=picture, return_tensors="pt")
        with self._torch.inference_mode():
            outputs = self._model(**inputs)
        found = self._processor.post_process_object_detection(
            outputs, threshold=self._threshold, target_sizes=[(picture.height, picture.width)]
        )[0]
        size = np.array(picture.size * 2, np.float32)
        return best_detections(
            found["boxes"].numpy().reshape(-1, 4) / size,
            found["scores"].numpy(),
            found["labels"].numpy(),
            self._model.config.id2label,
            self._most,
        )
