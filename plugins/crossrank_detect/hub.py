"""Any object detection model that transformers knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crossrank.errors import InputError, missing_package
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
    InputError
        If there is no such model.
    """

    def __init__(self, name: str, threshold: float, most: int) -> None:
        try:
            import torch
            import transformers
        except ImportError as error:
            raise missing_package("transformers", "detect", "a detector of the hub") from error
        if Path(name).is_absolute() and not Path(name).is_dir():
            raise InputError(f"detect: {name} is not a folder; check the path of the model")
        try:
            models: Any = transformers.AutoModelForObjectDetection
            processors: Any = transformers.AutoImageProcessor
            self._model = models.from_pretrained(name, trust_remote_code=False).eval()
            self._processor = processors.from_pretrained(
                name, backend="pil", trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise InputError(f"detect: {name!r} could not be loaded: {error}") from error
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
